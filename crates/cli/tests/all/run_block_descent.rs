//! `run block-descent` on files.

use crate::run_ef21_w::rows;
use crate::sandbox::{Sandbox, json_file};
use crate::snapshot::session;

#[test]
fn block_descent() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(200));
    sandbox.write("new.txt", "+1 1:1 2:-1\n-1 2:2 12:0.5\n");
    sandbox.write("wider.txt", "+1 1:1 13:1\n");
    sandbox.write("three.txt", "1 1:1 2:1\n2 2:1\n3 1:1 2:-1\n1 1:2\n");
    sandbox.write("one-class.txt", "+1 1:1\n+1 2:1\n");
    sandbox.write("separable.txt", "+1 1:1\n-1 2:1\n+1 1:2\n-1 2:2\n");
    sandbox.write("gap.txt", "1 1:1\n2 3:1\n");
    sandbox.write("zeros.txt", "1\n2\n");
    sandbox.write("people.csv", "age,height,income\n30,1.7,20\n40,1.8,27\n50,1.6,30\n60,1.9,41\n");
    sandbox.write("others.csv", "height,age\n1.75,45\n");
    sandbox.write("missing.csv", "age,income\n30,20\n,27\n");
    sandbox.write("edges.csv", "from,to\n1,2\n2,3\n3,4\n4,5\n2,5\n");
    sandbox.write("weights.csv", "from,to,weight\n1,2,1\n2,1,2\n");
    sandbox.write("loop.csv", "from,to\n1,1\n1,2\n");
    sandbox.write("names.csv", "from,to\n0.5,1\n");
    sandbox.write("labels.csv", "node,label\n1,0\n4,3\n");
    sandbox.write("elsewhere.csv", "node,label\n9,1\n");
    sandbox.write("twice.csv", "node,label\n1,0\n1,3\n");
    sandbox.write("broken.json", "{}");
    let commands = [
        "run block-descent --help",
        "run block-descent fit --help",
        "run block-descent predict --help",
        "run block-descent propagate --help",
        "run block-descent fit --data rows.txt --loss logistic --l1 0.1max --out model",
        "run block-descent predict --model model/model.json --data new.txt",
        "run block-descent predict --model model/model.json --data new.txt --json",
        "run block-descent fit --data rows.txt --loss least-squares --l1 5 --nonnegative --blocks fixed --rule gs --update gradient",
        "run block-descent fit --data three.txt --loss softmax --ridge 1 --out softmax",
        "run block-descent predict --model softmax/model.json --data three.txt",
        "run block-descent fit --data people.csv --target income --loss least-squares --ridge 0.1 --out people",
        "run block-descent predict --model people/model.json --data others.csv",
        "run block-descent propagate --edges edges.csv --labels labels.csv --out values",
        "run block-descent propagate --edges edges.csv --labels labels.csv",
        "run block-descent fit --data gap.txt --loss least-squares",
        "run block-descent fit --data zeros.txt --features 2 --loss least-squares",
        "run block-descent fit --data separable.txt --loss logistic",
        "run block-descent fit --data three.txt --loss logistic",
        "run block-descent fit --data one-class.txt --loss logistic",
        "run block-descent fit --data one-class.txt --loss softmax",
        "run block-descent fit --data people.csv --loss least-squares",
        "run block-descent fit --data people.csv --target incom --loss least-squares",
        "run block-descent fit --data missing.csv --target income --loss least-squares",
        "run block-descent fit --data absent.txt --loss least-squares",
        "run block-descent fit --data rows.txt --loss logistic --l1 much",
        "run block-descent fit --data rows.txt --loss logistic --l1 -1",
        "run block-descent fit --data rows.txt --loss logistic --ridge -1",
        "run block-descent fit --data rows.txt --loss logistic --lower 2 --upper 1",
        "run block-descent fit --data rows.txt --loss logistic --tolerance -1",
        "run block-descent fit --data rows.txt --loss logistic --blocks variable --size 0",
        "run block-descent fit --data rows.txt --loss logistic --blocks trees",
        "run block-descent fit --data rows.txt --loss logistic --update two-metric",
        "run block-descent fit --data rows.txt --loss least-squares --positive 1",
        "run block-descent fit --data rows.txt --loss logistic --iterations 1 --blocks variable --size 1",
        "run block-descent predict --model model/model.json --data wider.txt",
        "run block-descent predict --model broken.json --data new.txt",
        "run block-descent propagate --edges edges.csv --labels elsewhere.csv",
        "run block-descent propagate --edges edges.csv --labels twice.csv",
        "run block-descent propagate --edges weights.csv --labels labels.csv",
        "run block-descent propagate --edges loop.csv --labels labels.csv",
        "run block-descent propagate --edges names.csv --labels labels.csv",
        "run block-descent propagate --edges labels.csv --labels labels.csv",
    ];
    session("run_block_descent", &sandbox, &[], &commands);
    assert_eq!(
        sandbox.entries("model"),
        ["coefficients.csv", "model.json", "summary.json", "trace.csv", "trace.svg"]
    );
    assert_eq!(sandbox.entries("values"), ["summary.json", "trace.csv", "trace.svg", "values.csv"]);
    assert_eq!(sandbox.read("model/coefficients.csv").lines().count(), 13);
    assert_eq!(sandbox.read("softmax/coefficients.csv").lines().next(), Some("feature,class,weight"));
    assert!(sandbox.read("values/values.csv").starts_with("node,value,labelled\n1,0,yes\n"));
    assert!(sandbox.read("model/trace.svg").ends_with("</svg>\n"));
}

#[test]
fn random_rules_depend_on_the_seed_and_on_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.txt", rows(300));
    let fit = |out: &str, more: &[&str]| {
        let base = "run block-descent fit --data rows.txt --loss logistic --ridge 1 --rule random --blocks variable --size 2 \
                    --iterations 20 --out";
        let words: Vec<&str> = base.split_whitespace().chain([out]).chain(more.iter().copied()).collect();
        sandbox.expect(0, &words);
        json_file(&sandbox.path(out).join("model.json"))
    };
    let one = fit("one", &["--threads", "1"]);
    assert_eq!(one, fit("two", &["--threads", "2"]));
    assert_ne!(one, fit("other", &["--seed", "1"]));
}
