//! The list of PECL's API, as the file has it.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct Api {
    pub(crate) classes: Vec<Class>,
}

#[derive(Deserialize)]
pub(crate) struct Class {
    pub(crate) name: String,
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    pub(crate) parent: Option<String>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) properties: Vec<Property>,
    pub(crate) methods: Vec<Method>,
}

#[derive(Deserialize)]
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) c_name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) write: bool,
}

#[derive(Deserialize)]
pub(crate) struct Method {
    pub(crate) name: String,
    #[serde(rename = "static")]
    pub(crate) is_static: bool,
    pub(crate) visibility: String,
    pub(crate) params: Vec<Param>,
    pub(crate) return_type: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Param {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) nullable: bool,
    pub(crate) by_ref: bool,
    pub(crate) optional: bool,
    #[serde(default)]
    pub(crate) default: Value,
}

impl Api {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The classes' numbers are their places in the list.
    pub(crate) fn class_id(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    /// Every method with its class, in the order of their numbers.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&Class, &Method)> {
        let all = self.classes.iter();
        all.flat_map(|class| class.methods.iter().map(move |method| (class, method)))
    }

    /// Every property with its class, in the order of their numbers.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&Class, &Property)> {
        let all = self.classes.iter();
        all.flat_map(|class| {
            class
                .properties
                .iter()
                .map(move |property| (class, property))
        })
    }
}

/// PHP's camelCase as snake_case; a constructor is `construct`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.trim_start_matches('_').chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    match snake.as_str() {
        "loop" => "r#loop".to_owned(),
        _ => snake,
    }
}
