//! How a conversation is written for a model, and which tokens end a reply.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error as TemplateError, ErrorKind, context};
use serde_json::{Map, Value};

use crate::request::{Message, Role};

/// The files of a checkpoint folder that say how its model is talked to.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    template: Option<Template>,
    ends: Vec<u32>,
}

/// A chat template, in the dialect of Jinja that Hugging Face uses.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

impl Conversation {
    /// What a folder says. A file that is not there says nothing.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        Self::of(|name| match std::fs::read_to_string(folder.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{name}: {error}")),
        })
    }

    /// What files say, by their names.
    pub(super) fn of(file: impl Fn(&str) -> Result<Option<String>, String>) -> Result<Self, String> {
        let object = |name: &str| -> Result<Map<String, Value>, String> {
            let Some(text) = file(name)? else { return Ok(Map::new()) };
            serde_json::from_str(&text).map_err(|error| format!("{name}: not a JSON object: {error}"))
        };
        let tokenizer = object("tokenizer_config.json")?;
        let generation = object("generation_config.json")?;
        let model = object("config.json")?;
        let source = match file("chat_template.jinja")? {
            Some(source) => Some(source),
            None => template_source(tokenizer.get("chat_template")),
        };
        let special = |name: &str| match tokenizer.get(name) {
            Some(Value::String(text)) => text.clone(),
            // Older files describe the token.
            Some(Value::Object(token)) => {
                token.get("content").and_then(Value::as_str).unwrap_or_default().into()
            }
            _ => String::new(),
        };
        let template = match source {
            Some(source) => Some(Template::new(source, special("bos_token"), special("eos_token"))?),
            None => None,
        };
        let ends = [&generation, &model]
            .into_iter()
            .find_map(|file| file.get("eos_token_id").filter(|ids| !ids.is_null()));
        Ok(Self { template, ends: ends.map(tokens).transpose()?.unwrap_or_default() })
    }

    pub(super) fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// The tokens that end a reply.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }
}

impl Template {
    fn new(source: String, begin: String, end: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, TemplateError> {
            Err(TemplateError::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned("chat", source)
            .map_err(|error| format!("the chat template cannot be read: {error:#}"))?;
        Ok(Self { environment, begin, end })
    }

    /// The text of a conversation, up to where the model goes on.
    pub(super) fn write(&self, system: Option<&str>, messages: &[Message]) -> Result<String, String> {
        let turn = |role: &str, content: &str| context! { role => role, content => content };
        let system = system.map(|text| turn("system", text));
        let turns = messages.iter().map(|message| match message.role {
            Role::User => turn("user", &message.content),
            Role::Assistant => turn("assistant", &message.content),
        });
        let messages: Vec<minijinja::Value> = system.into_iter().chain(turns).collect();
        let (begin, end) = (self.begin.as_str(), self.end.as_str());
        let template = self.environment.get_template("chat");
        let written = template.and_then(|template| {
            template.render(context! {
                messages => messages, add_generation_prompt => true, bos_token => begin, eos_token => end,
            })
        });
        written.map_err(|error| format!("its chat template refuses the conversation: {error}"))
    }
}

/// A template, or the one of several that is for conversations.
fn template_source(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(source) => Some(source.clone()),
        Value::Array(several) => {
            let named = |template: &&Value| template.get("name").and_then(Value::as_str) == Some("default");
            several.iter().find(named)?.get("template")?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// One token, or several.
fn tokens(value: &Value) -> Result<Vec<u32>, String> {
    let all = value.as_array().map_or_else(|| vec![value], |several| several.iter().collect());
    let token = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    all.into_iter().map(token).collect::<Option<Vec<u32>>>().ok_or_else(|| {
        format!("eos_token_id is {value}, but it must be the number of a token, or a list of them")
    })
}
