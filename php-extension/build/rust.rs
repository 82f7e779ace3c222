//! The Rust tables: which function answers which method, and the classes' and properties' numbers.

use std::fmt::Write as _;

use crate::api::{Api, snake_case};

pub(crate) fn source(api: &Api) -> String {
    let mut text = "/// The classes, numbered as in the C half.\n\
                    #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n#[repr(u32)]\n\
                    #[allow(dead_code, reason = \"two classes have no objects of ours\")]\n\
                    pub(crate) enum Class {\n"
        .to_owned();
    for (id, class) in api.classes.iter().enumerate() {
        let _ = writeln!(text, "    {} = {id},", class.name);
    }
    text += "}\n\n/// The functions that answer the methods, by the methods' numbers.\n";
    let _ = writeln!(
        text,
        "pub(crate) static METHODS: [Method; {}] = [",
        api.methods().count()
    );
    for (class, method) in api.methods() {
        let (module, name) = (snake_case(&class.name), snake_case(&method.name));
        let _ = writeln!(text, "    crate::classes::{module}::{name},");
    }
    text += "];\n\n/// The properties that Rust answers for, by their numbers.\n";
    let _ = writeln!(
        text,
        "pub(crate) static PROPERTIES: [&str; {}] = [",
        api.properties().count()
    );
    for (class, property) in api.properties() {
        let _ = writeln!(text, "    \"{}::{}\",", class.name, property.name);
    }
    text += "];\n";
    text
}
