//! Scratch.
use pravega_client::client_factory::ClientFactoryAsync;
use pravega_client_config::ClientConfigBuilder;
use pravega_client_shared::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let config = ClientConfigBuilder::default().controller_uri(a[1].as_str()).build().unwrap();
    let f = ClientFactoryAsync::new(config, tokio::runtime::Handle::current());
    let s = ScopedStream::from(a[2].as_str());
    let c = f.controller_client();
    match a[0].as_str() {
        "segments" => println!("{}", c.get_current_segments(&s).await.unwrap().key_segment_map.len()),
        "scale" => {
            let n: usize = a[3].parse().unwrap();
            let now = c.get_current_segments(&s).await.unwrap();
            let seal: Vec<Segment> = now.get_segments().iter().map(|x| x.segment.clone()).collect();
            let ranges: Vec<(f64, f64)> = (0..n)
                .map(|i| (i as f64 / n as f64, if i + 1 == n { 1.0 } else { (i + 1) as f64 / n as f64 }))
                .collect();
            println!("{:?}", c.scale_stream(&s, &seal, &ranges).await);
        }
        "create" => println!(
            "{:?}",
            c.create_stream(&StreamConfiguration {
                scoped_stream: s.clone(),
                scaling: Scaling {
                    scale_type: ScaleType::FixedNumSegments,
                    target_rate: 0,
                    scale_factor: 1,
                    min_num_segments: 2
                },
                retention: Retention::default(),
                tags: None
            })
            .await
        ),
        "seal" => println!("{:?}", c.seal_stream(&s).await),
        "delete" => {
            println!("{:?}", c.seal_stream(&s).await);
            println!("{:?}", c.delete_stream(&s).await)
        }
        "read" => {
            let idle: u64 = a[3].parse().unwrap();
            let rg = f.create_reader_group(format!("rg{}", std::process::id()), s.clone()).await;
            let mut r = rg.create_reader("r".to_string()).await;
            let mut seen: BTreeMap<u32, BTreeMap<u64, u32>> = BTreeMap::new();
            let (mut n, mut last) = (0u64, Instant::now());
            while last.elapsed() < Duration::from_secs(idle) {
                match tokio::time::timeout(Duration::from_secs(1), r.acquire_segment()).await {
                    Ok(Ok(Some(mut slice))) => {
                        while let Some(e) = slice.next() {
                            let id = data_generator::event::parse(&e.value).unwrap().identity;
                            *seen.entry(id.writer).or_default().entry(id.sequence).or_default() += 1;
                            n += 1;
                            last = Instant::now();
                        }
                        r.release_segment(slice).await.unwrap();
                    }
                    Ok(Err(e)) => {
                        println!("{e}");
                        break;
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
            println!("{n} events read");
            for (w, ids) in seen {
                let dup: u64 = ids.values().map(|n| u64::from(*n) - 1).sum();
                let max = *ids.keys().last().unwrap();
                println!(
                    "writer {w}: {} ids, 0..={max}, missing {}, duplicates {dup}",
                    ids.len(),
                    max + 1 - ids.len() as u64
                );
            }
        }
        x => panic!("{x}"),
    }
}
