package io.pravega.sluice.job;

/**
 * The format of an event: four lines, each ended by a newline.
 *
 * <pre>
 *   &#64;{writer}.{sequence}.{time_us}
 *   {bases}
 *   +
 *   {quality}
 * </pre>
 */
final class Dna {

    private Dna() {}

    /** How often A, C, G and T occur in the bases line, in this order. */
    static long[] countBases(byte[] event) {
        long a = 0;
        long c = 0;
        long g = 0;
        long t = 0;
        for (int i = endOfLine(event, 0) + 1; i < event.length && event[i] != '\n'; i++) {
            switch (event[i]) {
                case 'A':
                    a++;
                    break;
                case 'C':
                    c++;
                    break;
                case 'G':
                    g++;
                    break;
                case 'T':
                    t++;
                    break;
                default:
                    break;
            }
        }
        return new long[] {a, c, g, t};
    }

    /**
     * Writer and sequence number of an event.
     *
     * @return both in this order, or null if the first line is not of the format
     */
    static long[] id(byte[] event) {
        int firstDot = indexOf(event, '.', 1);
        int secondDot = indexOf(event, '.', firstDot + 1);
        if (event.length == 0 || event[0] != '@' || firstDot < 0 || secondDot < 0) {
            return null;
        }
        long writer = decimal(event, 1, firstDot);
        long sequence = decimal(event, firstDot + 1, secondDot);
        return writer < 0 || sequence < 0 ? null : new long[] {writer, sequence};
    }

    /**
     * When an event was meant to be sent, in microseconds since the epoch.
     *
     * @return -1 if the first line does not say it
     */
    static long intendedMicros(byte[] event) {
        int secondDot = indexOf(event, '.', indexOf(event, '.', 1) + 1);
        return secondDot < 0 ? -1 : decimal(event, secondDot + 1, endOfLine(event, 0));
    }

    private static int endOfLine(byte[] event, int from) {
        int i = from;
        while (i < event.length && event[i] != '\n') {
            i++;
        }
        return i;
    }

    private static int indexOf(byte[] event, char wanted, int from) {
        for (int i = Math.max(from, 0); i < event.length && event[i] != '\n'; i++) {
            if (event[i] == wanted) {
                return i;
            }
        }
        return -1;
    }

    private static long decimal(byte[] event, int from, int to) {
        long value = 0;
        for (int i = from; i < to; i++) {
            int digit = event[i] - '0';
            if (digit < 0 || digit > 9 || value > (Long.MAX_VALUE - digit) / 10) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return to > from ? value : -1;
    }
}
