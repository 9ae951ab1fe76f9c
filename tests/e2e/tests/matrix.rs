//! `make test-flink-matrix`: changes of width under load on every version of Flink that Sluice supports,
//! with each strategy that the version has.
//! `cargo test -p sluice-e2e --test matrix -- --ignored [NAME]`

use anyhow::Result;
use sluice_e2e::{
    lab::{Kind, Lab},
    rescale::{offers, rescale_and_prove, strategy},
};
use sluice_lab::{Mode, Pravega};

/// The newest of each line from 1.17 to 2.3, except 2.2. Those that are missing are fetched.
const VERSIONS: [&str; 7] = ["1.17.2", "1.18.1", "1.19.3", "1.20.5", "2.0.2", "2.1.3", "2.3.0"];

fn main() -> Result<()> {
    let lab = Lab::new()?;
    let mut scenes = Vec::new();
    for flink in VERSIONS {
        for mode in [Mode::Reactive, Mode::Adaptive] {
            if offers(flink.parse()?, mode) {
                let name = format!("flink_{}_{}", flink.replace('.', "_"), strategy(mode));
                let scene = async move |pravega: &mut Pravega| rescale_and_prove(pravega, flink, mode).await;
                scenes.push(lab.trial(Kind::TwoControllers, &name, scene));
            }
        }
    }
    lab.run(scenes).exit()
}
