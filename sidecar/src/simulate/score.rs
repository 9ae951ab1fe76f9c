//! What an autoscaler's run comes to: counted second by second.

use serde::Serialize;
use sluice_core::simulation::World;

/// What is needed at one moment, before any bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Subtasks, one for each segment if the ratio is 1.
    pub parallelism: u32,
    /// TaskManagers that hold them.
    pub task_managers: u32,
}

/// The figures. Times are seconds; TaskManager-seconds are TaskManagers times seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// How often the number of TaskManagers was raised.
    pub changes_up: u64,
    /// How often it was lowered.
    pub changes_down: u64,
    /// How often the job was restarted.
    pub restarts: u64,
    /// How long the job did not run.
    pub stopped_seconds: u64,
    /// How much input was read twice, as the time in which it was read first.
    pub replayed_seconds: u64,
    /// TaskManagers that were asked for.
    pub task_manager_seconds: u64,
    /// How long more were asked for than needed.
    pub over_seconds: u64,
    /// How many more.
    pub over_task_manager_seconds: u64,
    /// How long the job did not run as wide as needed.
    pub under_seconds: u64,
    /// How many TaskManagers' work it lacked.
    pub under_task_manager_seconds: u64,
    /// The longest such time.
    pub longest_under_seconds: u64,
    /// Following splits: until the job runs as wide as was needed from the split on.
    pub splits: Following,
    /// Following merges: until no more TaskManagers are asked for than needed from the merge on.
    pub merges: Following,
}

/// How rises, or falls, of what is needed were followed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Following {
    /// How many there were, without those that were still open at the end.
    pub all: u64,
    /// Those that were followed before the stream changed its mind.
    pub followed: u64,
    /// How long that took on average.
    pub mean_seconds: Option<f64>,
    #[serde(skip)]
    open: Vec<(u64, u32)>,
    #[serde(skip)]
    total: u64,
}

impl Following {
    /// Closes what is followed, or given up, by now.
    fn close(&mut self, now: u64, followed: impl Fn(u32) -> bool, given_up: impl Fn(u32) -> bool) {
        let (mut all, mut done, mut total) = (0, 0, 0);
        self.open.retain(|(since, goal)| {
            let is_followed = followed(*goal);
            let open = !is_followed && !given_up(*goal);
            all += u64::from(!open);
            if is_followed {
                done += 1;
                total += now - since;
            }
            open
        });
        self.all += all;
        self.followed += done;
        self.total += total;
        self.mean_seconds = (self.followed > 0).then(|| self.total as f64 / self.followed as f64);
    }
}

/// Counts.
#[derive(Clone, Debug)]
pub struct Counter {
    score: Score,
    /// Of which kind there had been how many before.
    restarts_before: u64,
    replays_before: usize,
    needed: Option<Need>,
    replicas: Option<u32>,
    under_for: u64,
}

impl Counter {
    /// Counts from now on.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self {
            score: Score::default(),
            restarts_before: world.restarts,
            replays_before: world.replayed.len(),
            needed: None,
            replicas: Some(world.replicas()),
            under_for: 0,
        }
    }

    /// Takes in one second, after the autoscaler has acted in it.
    pub fn second(&mut self, now: u64, need: Need, slots: u32, world: &World) {
        let score = &mut self.score;
        let replicas = world.replicas();
        if let Some(last) = self.replicas.replace(replicas) {
            score.changes_up += u64::from(replicas > last);
            score.changes_down += u64::from(replicas < last);
        }
        if let Some(last) = self.needed.replace(need) {
            if need.parallelism > last.parallelism {
                score.splits.open.push((now, need.parallelism));
            }
            if need.task_managers < last.task_managers {
                score.merges.open.push((now, need.task_managers));
            }
        }
        let running = if world.is_running() { world.parallelism() } else { 0 };
        score.splits.close(now, |goal| running >= goal, |goal| need.parallelism < goal);
        score.merges.close(now, |goal| replicas <= goal, |goal| need.task_managers > goal);

        score.task_manager_seconds += u64::from(replicas);
        let over = replicas.saturating_sub(need.task_managers);
        score.over_seconds += u64::from(over > 0);
        score.over_task_manager_seconds += u64::from(over);
        score.stopped_seconds += u64::from(!world.is_running());
        if running < need.parallelism {
            self.under_for += 1;
            score.under_seconds += 1;
            score.under_task_manager_seconds += u64::from(need.task_managers.saturating_sub(running / slots));
            score.longest_under_seconds = score.longest_under_seconds.max(self.under_for);
        } else {
            self.under_for = 0;
        }
    }

    /// The figures, at the end of the run.
    #[must_use]
    pub fn finish(self, world: &World) -> Score {
        Score {
            restarts: world.restarts - self.restarts_before,
            replayed_seconds: world.replayed[self.replays_before..].iter().sum(),
            ..self.score
        }
    }
}
