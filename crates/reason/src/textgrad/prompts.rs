//! The texts of all requests, as templates with slots.

use serde::{Deserialize, Serialize};

use crate::Error;

/// All tags of the built-in templates. Where a text that is put in holds one of them, a nonce makes those of the request other ones.
pub(super) const TAGS: [&str; 14] = [
    "SYSTEM",
    "INPUT",
    "OUTPUT",
    "FUNCTION",
    "VARIABLE",
    "OBJECTIVE",
    "CONVERSATION",
    "FEEDBACK",
    "ITERATION",
    "EARLIER",
    "CONSTRAINTS",
    "EXAMPLES",
    "ROLE",
    IMPROVED,
];

/// The tag around a new text.
pub(super) const IMPROVED: &str = "IMPROVED_VARIABLE";

/// The texts of all requests. Slots in braces are filled; `{n}` is a nonce for tags, empty unless a text holds such a tag. A block whose
/// content is missing (no constraints, say) is left out as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// System text of requests for feedback. Slots: `{n}`.
    pub backward_system: String,
    /// A request for feedback. Slots: `{role}`, `{conversation}`, `{objective}`, `{span}`.
    pub backward: String,
    /// A call of a language model. Slots: `{system}`, `{input}`, `{output}`.
    pub conversation: String,
    /// The system text in it, if there was one. Slot: `{system}`.
    pub conversation_system: String,
    /// A call of a function. Slots: `{purpose}`, `{inputs}`, `{output}`.
    pub function: String,
    /// An input of it. Slots: `{name}`, `{role}`, `{value}`.
    pub function_input: String,
    /// The objective where the outcome is an evaluation. No slots but `{n}`.
    pub objective_evaluation: String,
    /// The objective where there is feedback on the outcome. Slots: `{response_role}`, `{feedback}`.
    pub objective_feedback: String,
    /// Feedback on a sum, for one of its parts. Slots: `{role}`, `{feedback}`.
    pub combined: String,
    /// System text of requests for the mean of several feedbacks.
    pub reduce_system: String,
    /// One of them. Slot: `{feedback}`.
    pub reduce_item: String,
    /// System text of requests for a new text. Slots: `{open}`, `{close}`.
    pub optimizer_system: String,
    /// A request for a new text. Slots: `{role}`, `{value}`, `{gradients}`, and the blocks `{past}`, `{memory}`, `{constraints}`, `{examples}`;
    /// `{open}`, `{close}`.
    pub optimizer: String,
    /// Feedback with the conversation it comes from. Slots: `{conversation}`, `{response_role}`, `{role}`, `{feedback}`.
    pub gradient: String,
    /// Feedback without a conversation. Slots: `{role}`, `{feedback}`.
    pub gradient_alone: String,
    /// What stands in the place of a conversation that is left out, for brevity.
    pub left_out: String,
    /// Earlier texts and the feedback on them. Slot: `{items}`.
    pub past: String,
    /// One of them. Slots: `{number}`, `{value}`, `{feedback}`.
    pub past_item: String,
    /// Earlier feedback. Slot: `{items}`.
    pub memory: String,
    /// One of it. Slots: `{number}`, `{feedback}`.
    pub memory_item: String,
    /// Constraints. Slot: `{items}`.
    pub constraints: String,
    /// One of them. Slots: `{number}`, `{constraint}`.
    pub constraint: String,
    /// Examples to go by. Slot: `{items}`.
    pub examples: String,
    /// What is said to a reply that cannot be used. Slots: `{problem}`, `{open}`, `{close}`.
    pub repair: String,
}

impl Default for Prompts {
    fn default() -> Self {
        Self {
            backward_system: "You are the critic in a system that improves texts step by step: answers, instructions to models, programs, or any \
                other text. You are shown one text, how it was used, and an objective between <OBJECTIVE{n}> and </OBJECTIVE{n}>. Explain what \
                keeps the text from meeting the objective, and which change would help and why. Be concrete: name the words, steps or lines in \
                question. Take the role of the text into account; it will be used in the same way again. Somebody else does the rewriting, so \
                never write a new version. If there is nothing to improve, say nothing at all.\n\n\
                Tags: <ROLE{n}> what the text is for; <SYSTEM{n}>, <INPUT{n}>, <OUTPUT{n}> instructions, input and output of a language model; \
                <FUNCTION{n}> a call of a program; <VARIABLE{n}> the text to criticise."
                .into(),
            backward: "The text to criticise has this role: <ROLE{n}>{role}</ROLE{n}>\n\nThis is how it was used:\n\n{conversation}\n\n\
                {objective}\n\nThe text itself:\n\n<VARIABLE{n}>\n{span}\n</VARIABLE{n}>\n\nWhat should change in it to meet the objective, \
                and by what strategy?"
                .into(),
            conversation: "{system}<INPUT{n}>\n{input}\n</INPUT{n}>\n<OUTPUT{n}>\n{output}\n</OUTPUT{n}>".into(),
            conversation_system: "<SYSTEM{n}>\n{system}\n</SYSTEM{n}>\n".into(),
            function: "<FUNCTION{n}>{purpose}</FUNCTION{n}>\n<INPUT{n}>\n{inputs}\n</INPUT{n}>\n<OUTPUT{n}>\n{output}\n</OUTPUT{n}>".into(),
            function_input: "{name} ({role}): {value}\n".into(),
            objective_evaluation: "<OBJECTIVE{n}>The output above is an evaluation. Make it come out better; nothing else counts.</OBJECTIVE{n}>"
                .into(),
            objective_feedback: "The output above went on as {response_role}.\n\n<OBJECTIVE{n}>This feedback was given on the output; change the \
                text so that the output meets it:\n{feedback}</OBJECTIVE{n}>"
                .into(),
            combined: "Feedback on all parts together, of which the {role} is one:\n{feedback}".into(),
            reduce_system: "Several critics looked at the same text. Their feedback stands between <FEEDBACK{n}> and </FEEDBACK{n}>. Summarise \
                what they found: keep every distinct and well-founded point, say what most of them agree on, and drop what contradicts the \
                evidence. Write no new version of the text."
                .into(),
            reduce_item: "<FEEDBACK{n}>\n{feedback}\n</FEEDBACK{n}>\n".into(),
            optimizer_system: "You rewrite texts in a system that improves them step by step: answers, instructions to models, programs, or any \
                other text. You are shown a text, its role, and feedback on it. Some of the feedback may be wrong; use what is right and \
                important. Put the whole new text between {open} and {close}: what stands there takes the place of the old text, to the letter."
                .into(),
            optimizer: "The text to improve has this role: <ROLE{n}>{role}</ROLE{n}>\n\n<VARIABLE{n}>\n{value}\n</VARIABLE{n}>\n\n\
                This feedback was given on it:\n\n{gradients}\n\n{past}{memory}{constraints}{examples}Improve the {role} by this feedback. Answer \
                with the new text alone, in this form:\n{open}\nthe new text\n{close}"
                .into(),
            gradient: "<CONVERSATION{n}>\n{conversation}\n</CONVERSATION{n}>\nThe output of it is used as {response_role}. Feedback on the {role} \
                in it:\n<FEEDBACK{n}>\n{feedback}\n</FEEDBACK{n}>"
                .into(),
            gradient_alone: "<FEEDBACK{n}>\n{feedback}\n</FEEDBACK{n}>".into(),
            left_out: "(left out for brevity)".into(),
            past: "Earlier versions of this text, the oldest first, with the feedback on each:\n\n{items}\nWhere the same feedback comes again \
                and again, the changes so far were too small: change more.\n\n"
                .into(),
            past_item: "<ITERATION{n}>\nVersion {number}:\n{value}\nFeedback:\n{feedback}\n</ITERATION{n}>\n".into(),
            memory: "Feedback on earlier versions, the oldest first:\n\n{items}\n".into(),
            memory_item: "<EARLIER{n}>\n{feedback}\n</EARLIER{n}>\n".into(),
            constraints: "The new text has to meet these constraints:\n\n<CONSTRAINTS{n}>\n{items}</CONSTRAINTS{n}>\n\n".into(),
            constraint: "Constraint {number}: {constraint}\n".into(),
            examples: "Go by these examples:\n\n<EXAMPLES{n}>\n{items}</EXAMPLES{n}>\n\n".into(),
            repair: "This cannot be used: {problem}. Send the whole new text, and nothing else, between {open} and {close}.".into(),
        }
    }
}

impl Prompts {
    /// The shortest requests, without system texts, for small models that were trained on them.
    pub fn bare() -> Self {
        Self {
            backward_system: String::new(),
            backward: "Trace {role} : {conversation}{objective}".into(),
            conversation: "{system}{input} gives {output}".into(),
            conversation_system: "{system} ".into(),
            function: "{purpose} {inputs} gives {output}".into(),
            function_input: "{value}".into(),
            objective_evaluation: String::new(),
            objective_feedback: "\nFeedback : {feedback}".into(),
            combined: "{feedback}".into(),
            reduce_system: String::new(),
            reduce_item: "Feedback : {feedback}\n".into(),
            optimizer_system: String::new(),
            optimizer:
                "Improve {role} : {value}\nFeedback : {gradients}{past}{memory}{constraints}{examples}".into(),
            gradient: "{feedback}".into(),
            gradient_alone: "{feedback}".into(),
            left_out: String::new(),
            past: "{items}".into(),
            past_item: "\nEarlier : {value} : {feedback}".into(),
            memory: "{items}".into(),
            memory_item: "\nEarlier : {feedback}".into(),
            constraints: "{items}".into(),
            constraint: "\n{constraint}".into(),
            examples: "{items}".into(),
            repair: "{open} {close}".into(),
        }
    }

    /// Checks that no template lacks a slot without which its request could not be answered.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        let needed: [(&'static str, &str, &[&str]); 16] = [
            ("the template \"backward\"", &self.backward, &["{conversation}", "{objective}"]),
            ("the template \"conversation\"", &self.conversation, &["{system}", "{input}", "{output}"]),
            ("the template \"conversation_system\"", &self.conversation_system, &["{system}"]),
            ("the template \"function\"", &self.function, &["{inputs}", "{output}"]),
            ("the template \"function_input\"", &self.function_input, &["{value}"]),
            ("the template \"objective_feedback\"", &self.objective_feedback, &["{feedback}"]),
            ("the template \"combined\"", &self.combined, &["{feedback}"]),
            ("the template \"reduce_item\"", &self.reduce_item, &["{feedback}"]),
            (
                "the template \"optimizer\"",
                &self.optimizer,
                &["{value}", "{gradients}", "{past}", "{memory}", "{constraints}", "{examples}"],
            ),
            ("the template \"gradient\"", &self.gradient, &["{feedback}"]),
            ("the template \"gradient_alone\"", &self.gradient_alone, &["{feedback}"]),
            ("the template \"past\"", &self.past, &["{items}"]),
            ("the template \"past_item\"", &self.past_item, &["{value}", "{feedback}"]),
            ("the template \"memory_item\"", &self.memory_item, &["{feedback}"]),
            ("the template \"constraint\"", &self.constraint, &["{constraint}"]),
            ("the template \"repair\"", &self.repair, &["{open}", "{close}"]),
        ];
        for (name, template, slots) in needed {
            if let Some(missing) = slots.iter().find(|slot| !template.contains(**slot)) {
                let (value, way_out) =
                    (format!("without {missing}"), "what belongs there would never be shown to the model");
                return Err(Error::parameter(name, value, "a text with all of its slots", way_out));
            }
        }
        for (name, block) in [
            ("the template \"memory\"", &self.memory),
            ("the template \"constraints\"", &self.constraints),
            ("the template \"examples\"", &self.examples),
        ] {
            if !block.contains("{items}") {
                return Err(Error::parameter(
                    name,
                    "without {items}",
                    "a text with its slot",
                    "what belongs there would never be shown to the model",
                ));
            }
        }
        Ok(())
    }
}
