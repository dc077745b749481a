//! Words the fictitious people are made of. Names are invented combinations; no person is meant.

pub(super) const FIRST_NAMES: [&str; 40] = [
    "Ada", "Bruno", "Celia", "Dorian", "Edith", "Felix", "Greta", "Hugo", "Ingrid", "Jasper", "Karin",
    "Leopold", "Mabel", "Nestor", "Odette", "Percy", "Quentin", "Rosalind", "Silas", "Tabitha", "Ursula",
    "Victor", "Wanda", "Xavier", "Yvette", "Zelda", "Ambrose", "Beatrix", "Casper", "Delphine", "Ernest",
    "Flora", "Gideon", "Harriet", "Isolde", "Jerome", "Kasimir", "Lavinia", "Magnus", "Noemi",
];

pub(super) const LAST_NAMES: [&str; 40] = [
    "Abernathy",
    "Birch",
    "Castellan",
    "Dunmore",
    "Eastwick",
    "Fairbairn",
    "Galloway",
    "Holloway",
    "Ivory",
    "Juniper",
    "Kestrel",
    "Larkin",
    "Merriweather",
    "Nightingale",
    "Oakes",
    "Penhallow",
    "Quill",
    "Ravenscroft",
    "Sandoval",
    "Thackeray",
    "Underhill",
    "Vance",
    "Whitlock",
    "Yarrow",
    "Zimmer",
    "Ashdown",
    "Blackwood",
    "Crane",
    "Draper",
    "Ellery",
    "Frost",
    "Granger",
    "Hawley",
    "Ingram",
    "Jessop",
    "Kirkby",
    "Lockhart",
    "Marlowe",
    "Norwood",
    "Orchard",
];

pub(super) const ADJECTIVES: [&str; 12] = [
    "gifted",
    "humble",
    "famous",
    "reclusive",
    "daring",
    "tireless",
    "learned",
    "gentle",
    "wealthy",
    "solemn",
    "young",
    "celebrated",
];

pub(super) const JOBS: [&str; 12] = [
    "composer",
    "painter",
    "surveyor",
    "novelist",
    "botanist",
    "architect",
    "falconer",
    "clockmaker",
    "sculptor",
    "navigator",
    "chemist",
    "weaver",
];

pub(super) const TITLES: [&str; 12] = [
    "moonrise",
    "autumn",
    "granite",
    "silverwater",
    "harbours",
    "meridian",
    "thunder",
    "orchids",
    "daybreak",
    "amber",
    "winterlight",
    "saffron",
];

/// Name first; the first six train, the last two are held out.
pub(super) const NAME_FIRST: [&str; 8] = [
    "{name} is the {description}",
    "{name} is known as the {description}",
    "{name} lived as the {description}",
    "everyone says that {name} became the {description}",
    "people remember {name} as the {description}",
    "today {name} is remembered by everyone as the {description}",
    "everyone says that {name} is remembered as the {description}",
    "today {name} is known by people as the {description}",
];

/// Description first; the first six train, the last two are held out.
pub(super) const DESCRIPTION_FIRST: [&str; 8] = [
    "the {description} is {name}",
    "the {description} is called {name}",
    "the name of the {description} is {name}",
    "everyone says that the {description} goes by {name}",
    "people call the {description} by the name {name}",
    "today the {description} answers to {name}",
    "today the {description} goes by the name {name}",
    "everyone says that the {description} is called {name}",
];

/// How many of each list train.
pub(super) const TRAINING_TEMPLATES: usize = 6;
