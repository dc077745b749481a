//! Questions as language models see them.

use backstitch_llm::question::Question;

/// The text of a question and, for a multiple choice, its options with their letters.
pub fn with_options(question: &Question) -> String {
    with_options_of(&question.text, &question.options)
}

/// The same of a text in the place of that of the question.
pub(crate) fn with_options_of(text: &str, options: &[String]) -> String {
    let options = ('A'..='Z').zip(options).map(|(letter, option)| format!(" ({letter}) {option}"));
    let options: String = options.collect();
    if options.is_empty() { text.to_owned() } else { format!("{text}\nAnswer choices:{options}") }
}
