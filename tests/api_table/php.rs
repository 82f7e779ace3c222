//! What PHP's extension has, from `tests/pecl-event-api.json`.

use serde_json::Value;

/// One thing that a PHP program can name.
pub(crate) struct Item {
    /// The class, or nothing for a global constant.
    pub(crate) class: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// As the first column of its row writes it.
    pub(crate) signature: String,
}

impl Item {
    /// As PHP's manual names it: `Event::add`, `Event::READ`, `Event::$pending`.
    pub(crate) fn path(&self) -> String {
        match (&self.kind, self.class.as_str()) {
            (_, "") => self.name.clone(),
            (Kind::Property(_), class) => format!("{class}::${}", self.name),
            (_, class) => format!("{class}::{}", self.name),
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    Method,
    /// With its number, where that is the same everywhere.
    Constant(Option<i64>),
    /// Whether a program may assign to it.
    Property(bool),
}

/// Everything in the order of the list, each class's constants and properties first.
pub(crate) fn items(list: &Value) -> Vec<Item> {
    let mut items = Vec::new();
    for constant in each(&list["global_constants"]) {
        items.push(self::constant("", constant));
    }
    for class in each(&list["classes"]) {
        let name = text(&class["name"]);
        items.extend(each(&class["constants"]).map(|value| constant(name, value)));
        items.extend(each(&class["properties"]).map(|value| property(name, value)));
        items.extend(each(&class["methods"]).map(|value| method(name, value)));
    }
    items
}

/// The classes, in the order of the list.
pub(crate) fn classes(list: &Value) -> Vec<String> {
    each(&list["classes"])
        .map(|class| text(&class["name"]).to_owned())
        .collect()
}

fn constant(class: &str, value: &Value) -> Item {
    let name = text(&value["name"]);
    let number = value["value"].as_i64();
    let given = match &value["value"] {
        Value::String(word) if word == "platform" => String::new(),
        other => format!(" = {other}"),
    };
    Item {
        class: class.to_owned(),
        name: name.to_owned(),
        kind: Kind::Constant(number),
        signature: format!("{name}{given}"),
    }
}

fn property(class: &str, value: &Value) -> Item {
    let name = text(&value["name"]);
    let writable = value["write"] == true;
    let access = if writable { "" } else { " (read-only)" };
    Item {
        class: class.to_owned(),
        name: name.to_owned(),
        kind: Kind::Property(writable),
        signature: format!("{} ${name}{access}", text(&value["type"])),
    }
}

fn method(class: &str, value: &Value) -> Item {
    let name = text(&value["name"]);
    let mut signature = String::new();
    if value["visibility"] == "private" {
        signature += "private ";
    }
    if value["static"] == true {
        signature += "static ";
    }
    let parameters = each(&value["params"]).map(parameter).collect::<Vec<_>>();
    signature += &format!("{name}({})", parameters.join(", "));
    let observed = value["observed_return"].as_str();
    if let Some(returned) = observed.or(value["return_type"].as_str()) {
        signature += &format!(": {returned}");
    }
    Item {
        class: class.to_owned(),
        name: name.to_owned(),
        kind: Kind::Method,
        signature,
    }
}

fn parameter(value: &Value) -> String {
    let (name, kind) = (text(&value["name"]), text(&value["type"]));
    let nullable = value["nullable"] == true;
    let null = if nullable && kind != "mixed" { "?" } else { "" };
    let reference = if value["by_ref"] == true { "&" } else { "" };
    let default = match (&value["default"], value["default_constant"].as_str()) {
        _ if value["optional"] != true => String::new(),
        (_, Some(constant)) => format!(" = {constant}"),
        (Value::Null, None) if !nullable => " = …".to_owned(), // the extension tells none
        (default, None) => format!(" = {default}"),
    };
    format!("{null}{kind} {reference}${name}{default}")
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
