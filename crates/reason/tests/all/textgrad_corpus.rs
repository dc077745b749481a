//! The requests of the bare prompts are those that the embedded model is trained on.

use backstitch_llm::corpus::feedback::{
    Code, Feedback, Link, complete, improve, revised, trace, trace_check,
};
use backstitch_numerics::Stream;
use backstitch_reason::textgrad::{Engine, Prompts, StringFunction, TextualGradientDescent, Variable};

use crate::scripted::{Scripted, text};

#[test]
fn bare_requests_are_those_of_the_corpus() {
    let mut stream = Stream::new(4, "test of the bare prompts");
    for (trial, link) in Link::ALL.into_iter().cycle().take(30).enumerate() {
        // Tags as the embedded model writes them, split into words.
        let spaced = |text: String| text.replace('<', "< ").replace('>', " >").replace("< /", "</ ");
        let model = Scripted::new(move |text, _| complete(text).map(spaced));
        let engine = Engine::new(&model).with_prompts(Prompts::bare()).unwrap();
        let (mut code, target) = (Code::random(&mut stream), Code::random(&mut stream));
        let variable = Variable::new(code.to_string(), "code").unwrap();
        let window = trial % 4;
        let mut optimizer = TextualGradientDescent::new([variable.clone()]).unwrap().with_momentum(window);
        let apply = |texts: &[&str]| link.apply(texts[0].parse().unwrap()).to_string();
        let function = StringFunction::new(link.name(), apply).with_response_role("code");
        let check = StringFunction::new("check", |texts| {
            Feedback::of(texts[0].parse().unwrap(), link.apply(target)).to_string()
        });
        let mut observations = Vec::new();
        for step in 0..4 {
            optimizer.zero_grad();
            let output = function.call(&[("code", &variable)]);
            check.call(&[("code", &output)]).backward(&engine).unwrap();
            let said = Feedback::of(link.apply(code), link.apply(target));
            observations.push((code, link.back(said)));
            optimizer.step(&engine).unwrap();
            let seen = &observations[observations.len().saturating_sub(window + 1)..];
            let asked = model.asked();
            let expected = [trace_check(link.apply(code), said), trace(link, code, said), improve(seen)];
            for (request, expected) in asked[3 * step..].iter().zip(&expected) {
                assert_eq!(text(request), expected.prompt);
                assert_eq!(request.system, None);
            }
            code = revised(seen);
            assert_eq!(variable.value(), code.to_string());
        }
        assert_eq!((model.asked().len(), engine.calls().repair), (12, 0));
    }
}
