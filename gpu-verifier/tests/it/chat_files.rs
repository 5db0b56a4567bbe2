//! What a model's folder says of chats and of where answers end.

use std::path::Path;

use serde_json::{Map, Value, json};
use tandem_verifier::model::{ChatError, Message, ModelError, ModelFiles, Role};
use tandem_verifier::testmodel::Size;
use tempfile::TempDir;

use crate::common::written;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = written(1, Size::Small);
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn open(dir: &Path) -> Result<ModelFiles, ModelError> {
    ModelFiles::open(dir)
}

fn hello() -> [Message; 1] {
    [Message { role: Role::User, content: "Hi".to_owned() }]
}

/// What a chat becomes in a folder with these files besides.
fn rendered(files: &[(&str, &str)]) -> Result<String, ChatError> {
    let dir = folder(files);
    let text = open(dir.path()).unwrap().tokenizer().unwrap();
    let tokens = text.encode_chat(&hello(), &Map::new(), 1_000)?;
    Ok(tokens.iter().map(|&token| if token < 256 { char::from(token as u8) } else { '#' }).collect())
}

#[test]
fn tokens_that_end_an_answer_come_from_both_files() {
    let end = |content: &str| {
        open(folder(&[("generation_config.json", content)]).path()).map(|files| files.config().eos_token_ids.clone())
    };
    assert_eq!(end("{}").unwrap(), [257]);
    assert_eq!(end(r#"{"eos_token_id": 258}"#).unwrap(), [257, 258]);
    assert_eq!(
        end(r#"{"eos_token_id": [258, 257, 260, 258], "temperature": 0.6, "top_p": 0.9}"#).unwrap(),
        [257, 258, 260]
    );
    for bad in [r#"{"eos_token_id": 288}"#, r#"{"eos_token_id": "x"}"#, r#"{"eos_token_id": -1}"#, "", "["] {
        let error = end(bad).unwrap_err().to_string();
        assert!(error.contains("generation_config.json"), "{error}");
    }
    let big = format!("{{\"x\": \"{}\"}}", "y".repeat(2 << 20));
    assert!(end(&big).unwrap_err().to_string().contains("larger than"));
}

#[test]
fn whatever_changes_answers_or_prompts_changes_the_digest() {
    let digest = |files: &[(&str, &str)]| open(folder(files).path()).unwrap().digest().unwrap();
    let plain = digest(&[]);
    for name in ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"] {
        assert_ne!(digest(&[(name, "{}")]), plain, "{name}");
    }
    assert_eq!(digest(&[("README.md", "{}")]), plain);
}

#[test]
fn a_template_is_found_where_models_keep_it() {
    let config = |template: Value| json!({ "chat_template": template, "bos_token": "<|begin|>" }).to_string();
    let name = "tokenizer_config.json";
    let one = config(json!("{{ bos_token }}one:{{ messages[0].content }}"));
    assert_eq!(rendered(&[(name, &one)]).unwrap(), "#one:Hi");
    let several = config(json!([{ "name": "tool_use", "template": "no" }, { "name": "default", "template": "two" }]));
    assert_eq!(rendered(&[(name, &several)]).unwrap(), "two");
    let file = ("chat_template.jinja", "{{ bos_token }}three\n");
    assert_eq!(rendered(&[file, (name, &one)]).unwrap(), "#three");
    assert_eq!(rendered(&[file]).unwrap(), "three");
    let object = json!({ "chat_template": "{{ bos_token }}", "bos_token": { "content": "<|pad|>", "lstrip": false } });
    assert_eq!(rendered(&[(name, &object.to_string())]).unwrap(), "#");
}

/// A model without a template to use still completes texts; whoever wants a chat is told why there is none.
#[test]
fn a_missing_or_broken_template_is_no_reason_not_to_complete() {
    let name = "tokenizer_config.json";
    let config = |template: Value| json!({ "chat_template": template }).to_string();
    for (files, reason) in [
        (vec![], "has no chat template"),
        (vec![(name, "{}".to_owned())], "has no chat template"),
        (vec![(name, "{".to_owned())], name),
        (vec![(name, config(json!(7)))], "neither text nor a list"),
        (vec![(name, config(json!([{ "name": "rag", "template": "x" }])))], "default"),
        (vec![(name, config(json!("{% for %}")))], "not understood"),
        (vec![("chat_template.jinja", "x".repeat(300 << 10))], "larger than"),
    ] {
        let files: Vec<_> = files.iter().map(|(name, content)| (*name, content.as_str())).collect();
        match rendered(&files) {
            Err(ChatError::NoTemplate(found)) => assert!(found.contains(reason), "{found}"),
            other => panic!("{other:?}"),
        }
        let dir = folder(&files);
        assert_eq!(open(dir.path()).unwrap().tokenizer().unwrap().encode("a").unwrap(), [256, 97]);
    }
}
