//! Words, numbers and signs of a text with their places, counted in characters.

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// As written.
    pub written: String,
    /// Lower case, without a possessive ending.
    pub word: String,
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
}

/// Splits at white space and punctuation. Separators between digits stay (`1,250.50`, `2020-03-05`, `5/3/2020`), as do
/// letters after digits (`5k`) and apostrophes and ampersands inside words; currency and per cent signs stand alone.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < characters.len() {
        let start = index;
        let character = characters[index];
        if character.is_alphanumeric() {
            let numeric = character.is_numeric();
            while index < characters.len() && continues(&characters, start, index, numeric) {
                index += 1;
            }
        } else {
            index += 1;
            if !matches!(character, '£' | '$' | '€' | '%' | '&' | '-') {
                continue;
            }
        }
        let written: String = characters[start..index].iter().collect();
        let mut word = written.to_lowercase().replace('’', "'");
        if let Some(owner) = word.strip_suffix("'s") {
            word = owner.to_owned();
        }
        tokens.push(Token { written, word, start, end: index });
    }
    tokens
}

fn continues(characters: &[char], start: usize, index: usize, numeric: bool) -> bool {
    let character = characters[index];
    if character.is_alphanumeric() {
        return true;
    }
    let next = characters.get(index + 1);
    match character {
        ',' | '.' | '/' | '-' if numeric => {
            characters[index - 1].is_numeric() && next.is_some_and(|next| next.is_numeric())
        }
        '\'' | '’' => index > start && next.is_some_and(|next| next.is_alphabetic()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_signs_and_possessives_are_kept_apart() {
        let words: Vec<_> = tokens("Sell £1,250.50 of Apple's, 5k: 20%.").into_iter().map(|t| t.word).collect();
        assert_eq!(words, ["sell", "£", "1,250.50", "of", "apple", "5k", "20", "%"]);
    }

    #[test]
    fn places_count_characters_not_bytes() {
        let all = tokens("é £5");
        assert_eq!((all[1].start, all[1].end, all[2].start, all[2].end), (2, 3, 3, 4));
    }
}
