//! The C tables: classes with their argument information, constants and properties.

use std::fmt::Write as _;

use serde_json::Value;

use crate::api::{Api, Class, Constant, Method, Param};

/// Callables that PECL stores without a look: what is not callable shows when it is called.
const UNCHECKED: [(&str, &str); 6] = [
    ("Event", "__construct"),
    ("Event", "timer"),
    ("Event", "signal"),
    ("EventListener", "__construct"),
    ("EventHttp", "setCallback"),
    ("EventHttpRequest", "__construct"),
];

/// The methods that have a shorter way for what programs do most.
const QUICK: [(&str, &str); 16] = [
    ("Event_add", "bridge_quick_add"),
    ("Event_addTimer", "bridge_quick_add"),
    ("Event_addSignal", "bridge_quick_add"),
    ("Event_del", "bridge_quick_del"),
    ("Event_delTimer", "bridge_quick_del"),
    ("Event_delSignal", "bridge_quick_del"),
    ("Event_free", "bridge_quick_free"),
    ("Event_timer", "bridge_quick_timer"),
    ("Event___construct", "bridge_quick_construct"),
    ("EventBuffer_add", "bridge_quick_write"),
    ("EventBuffer_read", "bridge_quick_read"),
    ("EventBuffer_readLine", "bridge_quick_read_line"),
    ("EventBuffer_substr", "bridge_quick_substr"),
    ("EventBuffer_drain", "bridge_quick_drain"),
    ("EventBufferEvent_write", "bridge_quick_write"),
    ("EventBufferEvent_read", "bridge_quick_read"),
];

/// The parameters of type `mixed` that take whatever has a descriptor.
const DESCRIPTORS: [&str; 2] = ["fd", "socket"];

/// Of these, the ones that take null for none although they must be given.
const NO_DESCRIPTOR: [(&str, &str); 1] = [("EventBufferEvent", "sslSocket")];

/// The classes that PECL lets be serialized: their properties alone are.
const SERIALIZABLE: [&str; 5] = [
    "Event",
    "EventBuffer",
    "EventBufferEvent",
    "EventException",
    "EventSslContext",
];

pub(crate) fn header(api: &Api) -> String {
    let mut text = "/* The classes' numbers. Generated. */\n".to_owned();
    for (id, class) in api.classes.iter().enumerate() {
        let _ = writeln!(text, "#define CLASS_{} {id}", class.name);
    }
    let _ = writeln!(text, "#define CLASS_COUNT {}", api.classes.len());
    text
}

pub(crate) fn source(api: &Api) -> Result<String, String> {
    let mut text = "/* Generated from the list of PECL's API. */\n\
                    #include \"bridge.h\"\n#include \"compat.h\"\n#include \"classes.h\"\n\
                    #include <ext/spl/spl_exceptions.h>\n\
                    \n\
                    zend_class_entry *bridge_entries[CLASS_COUNT];\n\n"
        .to_owned();
    for (number, (class, method)) in api.methods().enumerate() {
        text += &method_table(api, class, method, number)?;
    }
    let mut property = 0;
    for class in &api.classes {
        text += &entries(class);
        text += &creator(class);
        text += &properties(class, &mut property);
    }
    text += &class_table(api);
    text += &registration(api)?;
    Ok(text)
}

fn method_table(
    api: &Api,
    class: &Class,
    method: &Method,
    number: usize,
) -> Result<String, String> {
    let id = format!("{}_{}", class.name, method.name);
    let required = method.params.iter().filter(|param| !param.optional).count();
    let mut text = arginfo(method, &id, required)?;
    if !method.params.is_empty() {
        let _ = writeln!(text, "static const bridge_param params_{id}[] = {{");
        for param in &method.params {
            let _ = writeln!(text, "\t{},", param_entry(api, class, method, param)?);
        }
        text += "};\n";
    }
    let params = match method.params.is_empty() {
        true => "NULL".to_owned(),
        false => format!("params_{id}"),
    };
    let total = method.params.len();
    let required = needed(&id).unwrap_or(required);
    let quick = match QUICK.iter().find(|(name, _)| *name == id) {
        Some((_, quick)) => {
            format!("\tif ({quick}(execute_data, return_value)) {{\n\t\treturn;\n\t}}\n")
        }
        None => String::new(),
    };
    let _ = write!(
        text,
        "static const bridge_method method_{id} = {{ {number}, {required}, {total}, {params} }};\n\
         static ZEND_METHOD({}, {})\n{{\n{quick}\
         \tbridge_invoke(&method_{id}, execute_data, return_value);\n}}\n\n",
        class.name, method.name
    );
    Ok(text)
}

/// How many arguments a method needs where PECL declares more to be required.
fn needed(id: &str) -> Option<usize> {
    match id {
        "EventBuffer_lock" | "EventBuffer_unlock" => Some(0),
        "EventListener_getSocketName" => Some(1),
        _ => None,
    }
}

/// A debug build of PHP ends the script where a method takes or returns what it does not declare.
/// Several of PECL's do: there, the methods declare no types.
fn arginfo(method: &Method, id: &str, required: usize) -> Result<String, String> {
    let taken = needed(id).unwrap_or(required);
    let mut text = format!("#if ZEND_DEBUG\nZEND_BEGIN_ARG_INFO_EX(arginfo_{id}, 0, 0, {taken})\n");
    for param in &method.params {
        let (by_ref, name) = (u8::from(param.by_ref), &param.name);
        let line = match default(param) {
            None => format!("ZEND_ARG_INFO({by_ref}, {name})"),
            Some(default) => {
                format!("ZEND_ARG_INFO_WITH_DEFAULT_VALUE({by_ref}, {name}, {default:?})")
            }
        };
        let _ = writeln!(text, "\t{line}");
    }
    text += "ZEND_END_ARG_INFO()\n#else\n";
    text += &match method.return_type.as_deref() {
        None => format!("ZEND_BEGIN_ARG_INFO_EX(arginfo_{id}, 0, 0, {required})\n"),
        Some(returned) => begin_returning(returned, id, required)?,
    };
    for param in &method.params {
        let (by_ref, name) = (u8::from(param.by_ref), &param.name);
        let nullable = u8::from(param.nullable && param.kind != "mixed");
        let default = default(param);
        let line = match (builtin(&param.kind), &default) {
            (Some(code), None) => {
                format!("ZEND_ARG_TYPE_INFO({by_ref}, {name}, {code}, {nullable})")
            }
            (Some(code), Some(default)) => format!(
                "ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE({by_ref}, {name}, {code}, {nullable}, {default:?})"
            ),
            (None, None) => {
                format!(
                    "ZEND_ARG_OBJ_INFO({by_ref}, {name}, {}, {nullable})",
                    param.kind
                )
            }
            (None, Some(default)) => format!(
                "ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE({by_ref}, {name}, {}, {nullable}, {default:?})",
                param.kind
            ),
        };
        let _ = writeln!(text, "\t{line}");
    }
    text += "ZEND_END_ARG_INFO()\n#endif\n";
    Ok(text)
}

fn begin_returning(returned: &str, id: &str, required: usize) -> Result<String, String> {
    let (nullable, plain) = match returned.strip_prefix('?') {
        Some(plain) => (1, plain),
        None => (0, returned),
    };
    if let Some((first, "false")) = plain.split_once('|') {
        return Ok(match mask(first) {
            Some(mask) => format!(
                "ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(arginfo_{id}, 0, {required}, {mask}|MAY_BE_FALSE)\n"
            ),
            None => format!(
                "ZEND_BEGIN_ARG_WITH_RETURN_OBJ_TYPE_MASK_EX(arginfo_{id}, 0, {required}, {first}, MAY_BE_FALSE)\n"
            ),
        });
    }
    if plain.contains('|') {
        return Err(format!("the return type {returned} is of an unknown form"));
    }
    Ok(match builtin(plain) {
        Some(code) => format!(
            "ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_{id}, 0, {required}, {code}, {nullable})\n"
        ),
        None => format!(
            "ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_{id}, 0, {required}, {plain}, {nullable})\n"
        ),
    })
}

fn builtin(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "bool" => "_IS_BOOL",
        "int" => "IS_LONG",
        "float" => "IS_DOUBLE",
        "string" => "IS_STRING",
        "array" => "IS_ARRAY",
        "void" => "IS_VOID",
        "mixed" => "IS_MIXED",
        "callable" => "IS_CALLABLE",
        _ => return None,
    })
}

fn mask(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "bool" => "MAY_BE_BOOL",
        "int" => "MAY_BE_LONG",
        "string" => "MAY_BE_STRING",
        "array" => "MAY_BE_ARRAY",
        _ => return None,
    })
}

/// PHP's text of a default value, for reflection.
fn default(param: &Param) -> Option<String> {
    let text = || match &param.default {
        Value::Number(number) if param.kind == "float" && !number.to_string().contains('.') => {
            format!("{number}")
        }
        other => other.to_string(),
    };
    param.optional.then(text)
}

fn param_entry(api: &Api, class: &Class, method: &Method, param: &Param) -> Result<String, String> {
    let at = (class.name.as_str(), method.name.as_str());
    let mut id = 0;
    let kind = match param.kind.as_str() {
        _ if param.by_ref => "PARAM_OUT",
        "bool" => "PARAM_BOOL",
        // PECL declares an int here, and takes a fraction of seconds.
        "int"
            if at == ("EventConfig", "setMaxDispatchInterval") && param.name == "max_interval" =>
        {
            "PARAM_DOUBLE"
        }
        "int" => "PARAM_LONG",
        "float" => "PARAM_DOUBLE",
        "string" => "PARAM_STRING",
        "array" => "PARAM_ARRAY",
        "callable" if UNCHECKED.contains(&at) => "PARAM_UNCHECKED_CALLABLE",
        "callable" => "PARAM_CALLABLE",
        "Socket" => "PARAM_SOCKET",
        "mixed" if param.name == "target" => "PARAM_TARGET",
        "mixed" if class.name == "Event" && param.name == "fd" => "PARAM_EVENT_SOURCE",
        "mixed" if DESCRIPTORS.contains(&param.name.as_str()) => "PARAM_DESCRIPTOR",
        // Data may be of any type, and is kept as it is.
        "mixed" if ["arg", "data"].contains(&param.name.as_str()) => "PARAM_UNCHECKED_CALLABLE",
        "mixed" => "PARAM_MIXED",
        other => {
            id = api
                .class_id(other)
                .ok_or_else(|| format!("{}::{} takes an unknown {other}", at.0, at.1))?;
            "PARAM_OBJECT"
        }
    };
    let nullable = match kind {
        "PARAM_DESCRIPTOR" => param.optional || NO_DESCRIPTOR.contains(&at),
        _ => param.nullable,
    };
    Ok(format!("{{ {kind}, {nullable}, {id} }}"))
}

fn entries(class: &Class) -> String {
    let name = &class.name;
    let mut text = format!("static const zend_function_entry functions_{name}[] = {{\n");
    for method in &class.methods {
        let mut flags = format!("ZEND_ACC_{}", method.visibility.to_uppercase());
        if method.is_static {
            flags += "|ZEND_ACC_STATIC";
        }
        let _ = writeln!(
            text,
            "\tZEND_ME({name}, {}, arginfo_{name}_{}, {flags})",
            method.name, method.name
        );
    }
    text += "\tZEND_FE_END\n};\n";
    text
}

/// The function that makes an object, of a subclass too.
fn creator(class: &Class) -> String {
    let name = &class.name;
    format!(
        "static zend_object *create_{name}(zend_class_entry *entry)\n{{\n\
         \treturn bridge_create_object(entry, CLASS_{name});\n}}\n"
    )
}

/// `data` of an event is an ordinary property; so is all that an exception has.
fn is_real(class: &str, property: &str) -> bool {
    class == "EventException" || (class, property) == ("Event", "data")
}

fn properties(class: &Class, number: &mut usize) -> String {
    let name = &class.name;
    if class.properties.is_empty() {
        return String::new();
    }
    let mut text = format!("static const bridge_property properties_{name}[] = {{\n");
    for (slot, property) in class.properties.iter().enumerate() {
        let real = is_real(name, &property.name);
        let kind = match (name.as_str(), property.name.as_str()) {
            ("Event", "pending") => "PROPERTY_PENDING",
            ("EventBuffer", "length") => "PROPERTY_LENGTH",
            _ => "PROPERTY_OTHER",
        };
        let _ = writeln!(
            text,
            "\t{{ \"{}\", {}, {kind}, {number}, {slot}, {}, {real} }},",
            property.name,
            property.name.len(),
            property.write
        );
        *number += 1;
    }
    text += "};\n";
    text
}

fn class_table(api: &Api) -> String {
    let mut text = "const bridge_class bridge_classes[CLASS_COUNT] = {\n".to_owned();
    for class in &api.classes {
        let list = match class.properties.is_empty() {
            true => "NULL".to_owned(),
            false => format!("properties_{}", class.name),
        };
        let count = class.properties.len();
        let serializable = SERIALIZABLE.contains(&class.name.as_str());
        let _ = writeln!(
            text,
            "\t{{ \"{}\", {list}, {count}, {serializable} }},",
            class.name
        );
    }
    text += "};\n\n";
    text
}

fn registration(api: &Api) -> Result<String, String> {
    let mut text =
        "void bridge_register_classes(void)\n{\n\tzend_class_entry entry, *made;\n".to_owned();
    for (id, class) in api.classes.iter().enumerate() {
        let name = &class.name;
        let parent = match class.parent.as_deref() {
            None => "NULL",
            Some("RuntimeException") => "spl_ce_RuntimeException",
            Some(other) => return Err(format!("{name} has an unknown parent {other}")),
        };
        let _ = writeln!(
            text,
            "\n\tINIT_CLASS_ENTRY(entry, \"{name}\", functions_{name});\n\
             \tmade = bridge_entries[{id}] = zend_register_internal_class_ex(&entry, {parent});\n\
             \tbridge_setup_class(made, {id}, create_{name});"
        );
        if class.is_final {
            text += "\tmade->ce_flags |= ZEND_ACC_FINAL;\n";
        }
        for property in &class.properties {
            let _ = writeln!(
                text,
                "\tzend_declare_property_null(made, ZEND_STRL(\"{}\"), ZEND_ACC_PUBLIC);",
                property.name
            );
        }
        for constant in &class.constants {
            text += &constant_line(constant)?;
        }
    }
    text += "}\n";
    Ok(text)
}

fn constant_line(constant: &Constant) -> Result<String, String> {
    let name = &constant.name;
    match (&constant.value, constant.c_name.as_deref()) {
        (Value::Number(number), _) => Ok(format!(
            "\tzend_declare_class_constant_long(made, ZEND_STRL(\"{name}\"), {number});\n"
        )),
        (_, Some("OPENSSL_VERSION_TEXT")) => Ok(format!(
            "\tzend_declare_class_constant_string(made, ZEND_STRL(\"{name}\"), php_event_openssl_version());\n"
        )),
        (_, Some("OPENSSL_VERSION_NUMBER")) => Ok(format!(
            "\tzend_declare_class_constant_long(made, ZEND_STRL(\"{name}\"), php_event_openssl_number());\n"
        )),
        (other, _) => Err(format!("the constant {name} has an unknown value {other}")),
    }
}
