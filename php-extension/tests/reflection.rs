//! What reflection shows of the extension, against the list of PECL's API.

mod support;

use serde_json::Value;
use support::{php_with_extension, root};

#[test]
fn reflection_shows_what_pecl_has() {
    let script = root().join("tests/reflection.php");
    let printed = php_with_extension(&[script.to_str().unwrap()]);
    let shown: Value = serde_json::from_str(&printed).unwrap();
    // There the methods declare no types: PHP would check them, and PECL's are not all true.
    let types = shown["debug"] == false;
    let shown = &shown["classes"];
    let list = std::fs::read_to_string(root().join("../tests/pecl-event-api.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut complaints = Vec::new();
    for class in list["classes"].as_array().unwrap() {
        compare_class(
            class,
            &shown[class["name"].as_str().unwrap()],
            types,
            &mut complaints,
        );
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let classes = shown.as_object().unwrap().len();
    assert_eq!(
        classes,
        list["classes"].as_array().unwrap().len(),
        "a class too many"
    );
}

fn compare_class(listed: &Value, shown: &Value, types: bool, complaints: &mut Vec<String>) {
    let class = listed["name"].as_str().unwrap();
    for flag in ["final", "parent", "instantiable"] {
        expect(
            complaints,
            format!("{class}: {flag}"),
            &shown[flag],
            &listed[flag],
        );
    }
    for constant in listed["constants"].as_array().unwrap() {
        let name = constant["name"].as_str().unwrap();
        let value = &shown["constants"][name];
        if constant["value"] == "platform" {
            expect(
                complaints,
                format!("{class}::{name} is there"),
                &(!value.is_null()).into(),
                &true.into(),
            );
        } else {
            expect(
                complaints,
                format!("{class}::{name}"),
                value,
                &constant["value"],
            );
        }
    }
    let names = listed["properties"].as_array().unwrap().iter();
    let names: Vec<Value> = names.map(|property| property["name"].clone()).collect();
    expect(
        complaints,
        format!("{class}: properties"),
        &shown["properties"],
        &names.into(),
    );
    let methods = listed["methods"].as_array().unwrap();
    let count = shown["methods"].as_object().map_or(0, serde_json::Map::len);
    expect(
        complaints,
        format!("{class}: methods"),
        &count.into(),
        &methods.len().into(),
    );
    for method in methods {
        compare_method(
            class,
            method,
            &shown["methods"][method["name"].as_str().unwrap()],
            types,
            complaints,
        );
    }
}

fn compare_method(
    class: &str,
    listed: &Value,
    shown: &Value,
    types: bool,
    complaints: &mut Vec<String>,
) {
    let at = format!("{class}::{}", listed["name"].as_str().unwrap());
    let what: &[&str] = match types {
        true => &["static", "return_type"],
        false => &["static"],
    };
    for &what in what {
        expect(
            complaints,
            format!("{at}: {what}"),
            &shown[what],
            &listed[what],
        );
    }
    let params = listed["params"].as_array().unwrap();
    let count = shown["params"].as_array().map_or(0, Vec::len);
    expect(
        complaints,
        format!("{at}: parameters"),
        &count.into(),
        &params.len().into(),
    );
    for (n, param) in params.iter().enumerate() {
        let seen = &shown["params"][n];
        let at = format!("{at}(${})", param["name"].as_str().unwrap());
        // Without types, methods that take less than they declare declare that, too.
        let what: &[&str] = match types {
            true => &["name", "type", "nullable", "by_ref", "optional"],
            false => &["name", "by_ref"],
        };
        for &what in what {
            expect(
                complaints,
                format!("{at}: {what}"),
                &seen[what],
                &param[what],
            );
        }
        if param["optional"] == true {
            let default = param["default"].to_string();
            let seen = seen["default"].as_str().unwrap_or_default().to_lowercase();
            expect(
                complaints,
                format!("{at}: default"),
                &seen.into(),
                &default.into(),
            );
        }
    }
}

fn expect(complaints: &mut Vec<String>, what: String, shown: &Value, listed: &Value) {
    if shown != listed {
        complaints.push(format!("{what} is {shown}, not {listed}"));
    }
}
