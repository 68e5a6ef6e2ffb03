//! The examples do what they say.

#[path = "../examples/embed.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod embed;

use std::ops::ControlFlow;

use drdiff::{Device, Model, Prompt, Sampler, SessionOptions};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

#[test]
fn an_app_with_its_own_device_and_executor_goes_on_while_a_text_is_made() {
    let (text, frames) = embed::run(MODELS).unwrap();
    assert!(frames > 1, "nothing else had its turn");
    let model = Model::load(MODELS, &Device::Cpu).unwrap();
    let mut session = model.session(SessionOptions { length: 64, ..Default::default() }).unwrap();
    let sampler = Sampler { steps: 10, seed: 7, ..Sampler::default() };
    let expected = session.generate(&Prompt::prefix("And the king"), &sampler, |_| ControlFlow::Continue(()));
    assert_eq!(text, expected.unwrap());
}
