//! The model's own chat template: from messages to the text of a prompt.
//!
//! A template is a program from a stranger's folder, in the language Jinja. It runs with bounded fuel, writes a bounded text, sees
//! nothing but the messages, and cannot load anything. There is no clock in it (`strftime_now` is not defined, and templates then
//! write a fixed date), so that the same messages give the same tokens everywhere and for ever.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Serde};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use thiserror::Error;

use super::{ModelError, pyjson, read, read_json};

/// The largest `tokenizer_config.json` that is read.
const CONFIG_LIMIT: u64 = 16 << 20;
/// The longest template that is compiled, bytes. Published ones have up to some 20,000.
const TEMPLATE_LIMIT: usize = 256 << 10;
/// Instructions of one rendering. A message takes some dozens.
const FUEL: u64 = 1_000_000;
/// Macros may call each other so deep.
const DEPTH: usize = 64;
const NAME: &str = "chat_template";
const CONFIG: &str = "tokenizer_config.json";
const FILE: &str = "chat_template.jinja";

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator of the conversation.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// A turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
}

/// Why messages give no prompt.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChatError {
    /// The model has no template, or one that cannot be used.
    #[error("{0}")]
    NoTemplate(String),
    /// The template itself refuses the messages.
    #[error("the model's chat template says: {0}")]
    Refused(String),
    /// The text is longer than the caller allows.
    #[error("the conversation is longer than {0} bytes")]
    TooLong(usize),
    /// The template or the tokenizer failed.
    #[error("{0}")]
    Failed(String),
}

/// A compiled template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// `bos_token`, `eos_token` and their like, as text.
    tokens: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrNamed {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

/// What `raise_exception` was called with.
#[derive(Debug, Error)]
#[error("{0}")]
struct Raised(String);

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or else `chat_template` in `tokenizer_config.json`, of a model's folder.
    ///
    /// # Errors
    /// The outer one where a file cannot be read; the inner one says why there is no template to use.
    pub(super) fn read(dir: &Path) -> Result<Result<Self, String>, ModelError> {
        let config = dir.join(CONFIG);
        let fields: Map<String, serde_json::Value> = match config.try_exists() {
            Ok(true) => match read_json(&config, CONFIG_LIMIT)? {
                Ok(fields) => fields,
                Err(reason) => return Ok(Err(format!("{CONFIG}: {reason}"))),
            },
            _ => Map::new(),
        };
        let file = dir.join(FILE);
        let source = if file.try_exists().unwrap_or_default() {
            match read(&file, TEMPLATE_LIMIT as u64)?.map(String::from_utf8) {
                Some(Ok(text)) => text,
                Some(Err(_)) => return Ok(Err(format!("{FILE} is not UTF-8"))),
                None => return Ok(Err(format!("{FILE} is larger than {TEMPLATE_LIMIT} bytes"))),
            }
        } else {
            match fields.get("chat_template").map(OneOrNamed::deserialize) {
                None => return Ok(Err("the model has no chat template".to_owned())),
                Some(Ok(OneOrNamed::One(text))) => text,
                Some(Ok(OneOrNamed::Named(all))) => match all.into_iter().find(|named| named.name == "default") {
                    Some(named) => named.template,
                    None => return Ok(Err("none of the model's chat templates is the default".to_owned())),
                },
                Some(Err(_)) => return Ok(Err(format!("{CONFIG}: chat_template is neither text nor a list"))),
            }
        };
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text.clone()),
            object => object.get("content")?.as_str().map(str::to_owned),
        };
        let named = fields.iter().filter(|(name, _)| name.ends_with("_token"));
        let tokens = named.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
        Ok(Self::new(source, tokens))
    }

    /// Compiles a template; `tokens` are the special tokens that it may name, such as `bos_token`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(source: String, tokens: BTreeMap<String, String>) -> Result<Self, String> {
        if source.len() > TEMPLATE_LIMIT {
            return Err(format!("the chat template is larger than {TEMPLATE_LIMIT} bytes"));
        }
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        // As `transformers` compiles them.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| brief(&error))?);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", to_json);
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| format!("the chat template is not understood: {}", brief(&error)))?;
        Ok(Self { environment, tokens })
    }

    /// The text of a prompt that asks for the assistant's next turn. `options` are further variables of the template, which cannot
    /// replace its own; the text has `limit` bytes at most.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn render(
        &self,
        messages: &[Message],
        options: &Map<String, serde_json::Value>,
        limit: usize,
    ) -> Result<String, ChatError> {
        let template = self.environment.get_template(NAME).map_err(|error| ChatError::Failed(brief(&error)))?;
        let mut variables: BTreeMap<&str, Value> =
            options.iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value)))).collect();
        variables.extend(self.tokens.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str()))));
        variables.insert("messages", Value::from(Serde(messages)));
        variables.insert("add_generation_prompt", Value::from(true));
        let mut written = Bounded { text: Vec::new(), limit, full: false };
        match template.render_captured_to(Value::from(variables), &mut written) {
            Ok(_) => String::from_utf8(written.text).map_err(|error| ChatError::Failed(error.to_string())),
            Err(_) if written.full => Err(ChatError::TooLong(limit)),
            Err(error) => Err(match raised(&error) {
                Some(Raised(message)) => ChatError::Refused(message.chars().take(300).collect()),
                None => ChatError::Failed(format!("the chat template failed: {}", brief(&error))),
            }),
        }
    }
}

fn raise_exception(message: &str) -> Result<String, Error> {
    let raised = Raised(message.to_owned());
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(raised))
}

fn raised(error: &Error) -> Option<&Raised> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(raised) = error.downcast_ref() {
            return Some(raised);
        }
        next = error.source();
    }
    None
}

/// As `json.dumps` writes it, which is what templates are made for; the engine's own filter escapes for HTML.
fn to_json(value: &Value, _arguments: Rest<Value>, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, "not JSON").with_source(error))?;
    Ok(pyjson::dumps(&json, indent.map(|indent| indent.min(16))))
}

fn brief(error: &Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    format!("{line}{detail}").chars().take(300).collect()
}

/// Takes so much and no more.
struct Bounded {
    text: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.limit {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(source: &str) -> ChatTemplate {
        let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, text)| (name.into(), text.into()));
        ChatTemplate::new(source.to_owned(), tokens.into()).unwrap()
    }

    fn message(role: Role, content: &str) -> Message {
        Message { role, content: content.to_owned() }
    }

    fn talk() -> Vec<Message> {
        vec![
            message(Role::System, " Be brief. "),
            message(Role::User, "Hi & <b>"),
            message(Role::Assistant, "<think>hm</think>\n\nHello"),
            message(Role::User, "Bye"),
        ]
    }

    fn render(source: &str, options: serde_json::Value) -> Result<String, ChatError> {
        let serde_json::Value::Object(options) = options else { panic!() };
        template(source).render(&talk(), &options, 10_000)
    }

    /// Headers by role, trimmed contents, a date that is fixed where no clock is defined.
    #[test]
    fn constructs_of_the_llama_3_family_are_understood() {
        let source = "{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if strftime_now is defined %}
    {%- set today = strftime_now(\"%d %b %Y\") %}
{%- else %}
    {%- set today = \"26 Jul 2024\" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = \"\" %}
{%- endif %}
{{- \"[system]\\n\" }}
{%- if tools is not none %}{{- \"Tools\" }}{%- endif %}
{{- \"Today: \" + today + \"\\n\\n\" + system + \"[eot]\" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '[' + message['role'] + ']\\n' + message['content'] | trim + '[eot]' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception(\"one call at a time\") }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[assistant]\\n' }}
{%- endif %}
";
        assert_eq!(
            render(source, json!({})).unwrap(),
            "<s>[system]\nToday: 26 Jul 2024\n\nBe brief.[eot][user]\nHi & <b>[eot]\
             [assistant]\n<think>hm</think>\n\nHello[eot][user]\nBye[eot][assistant]\n"
        );
    }

    /// A namespace set in a loop over reversed messages, methods of Python's strings, a switch from outside.
    #[test]
    fn constructs_of_the_qwen_families_are_understood() {
        let source = "{%- if tools %}
    {{- '<|s|>tools\\n' }}
    {%- for tool in tools %}{{- tool | tojson }}{%- endfor %}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|s|>system\\n' + messages[0].content + '<|e|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == \"user\" and message.content is string and not(message.content.startswith('<r>') and message.content.endswith('</r>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) %}
        {{- '<|s|>' + message.role + '\\n' + content + '<|e|>' + '\\n' }}
    {%- elif message.role == \"assistant\" %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thought)) %}
            {{- '<|s|>' + message.role + '\\n(' + thought.strip('\\n') + ')\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|s|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|e|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|s|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}";
        let all = "<|s|>system\n Be brief. <|e|>\n<|s|>user\nHi & <b><|e|>\n<|s|>assistant\nHello<|e|>\n\
                   <|s|>user\nBye<|e|>\n<|s|>assistant\n";
        assert_eq!(render(source, json!({})).unwrap(), all);
        let quiet = render(source, json!({ "enable_thinking": false, "messages": [] })).unwrap();
        assert_eq!(quiet, format!("{all}<think>\n\n</think>\n\n"));
        let tools = render(source, json!({ "tools": [{ "a": "x<b", "n": [1, 2.5, null, true] }] })).unwrap();
        assert!(tools.contains(r#"{"a": "x<b", "n": [1, 2.5, null, true]}"#), "{tools}");
    }

    #[test]
    fn a_template_that_refuses_is_quoted() {
        let strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system, please') }}{% endif %}";
        assert_eq!(render(strict, json!({})), Err(ChatError::Refused("no system, please".to_owned())));
        let alternate = "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\
                         {{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}";
        assert!(matches!(render(alternate, json!({})), Err(ChatError::Refused(_))));
    }

    /// Loops for ever, writes for ever, recurses for ever, reads files, fails: none of it does more than fail.
    #[test]
    fn hostile_templates_fail_and_do_nothing_else() {
        for source in [
            "{% for a in range(10000) %}{% for b in range(10000) %}{% set c = a %}{% endfor %}{% endfor %}",
            "{% for a in range(10000) %}{{ messages[1].content * 100 }}{% endfor %}",
            "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
            "{% include '/etc/passwd' %}",
            "{{ ''.__class__ }}{{ messages.nothing.at_all }}",
            "{{ 1 // 0 }}",
            "{{ messages | nothing }}",
            "{{ 'x' * 10000000000000 }}",
            "{{ range(99999999999) | list }}",
            "{{ [[1] * 100000] * 100000 }}",
        ] {
            let made = ChatTemplate::new(source.to_owned(), BTreeMap::new());
            let failed = made.map_or(true, |template| template.render(&talk(), &Map::new(), 10_000).is_err());
            assert!(failed, "{source}");
        }
        for source in ["{% for %}", "{{", "{% if x %}", "{% endfor %}"] {
            assert!(ChatTemplate::new(source.to_owned(), BTreeMap::new()).is_err(), "{source}");
        }
        for part in ["{{ (", "{% if a %}", "{{ [", "{{ -", "{{ not "] {
            let _ = ChatTemplate::new(part.repeat(20_000), BTreeMap::new());
        }
    }

    #[test]
    fn a_text_is_cut_at_no_byte_above_its_limit() {
        let whole = template("{{ messages[3].content }}{{ eos_token }}");
        assert_eq!(whole.render(&talk(), &Map::new(), 7).as_deref(), Ok("Bye</s>"));
        assert_eq!(whole.render(&talk(), &Map::new(), 6), Err(ChatError::TooLong(6)));
    }
}
