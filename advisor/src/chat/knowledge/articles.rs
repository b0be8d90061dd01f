//! The texts themselves: markdown with front matter.
use crate::{Error, Result};
use moneta_contracts::advisor::Citation;
use moneta_kit::problem::Problem;
use std::{collections::BTreeSet, path::Path};

/// A text of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// Its name, unique.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The text without front matter.
    pub body: String,
}

/// A text that answers a question, and how near it is (cosine, −1 to 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The text's name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// Cosine similarity.
    pub score: f32,
}

impl Article {
    /// The citation for an answer.
    pub fn citation(&self) -> Citation {
        Citation { id: self.id.clone(), title: self.title.clone(), excerpt: first_sentences(&self.body, 2) }
    }
}

impl Hit {
    /// The citation for an answer.
    pub fn citation(&self) -> Citation {
        Citation { id: self.id.clone(), title: self.title.clone(), excerpt: first_sentences(&self.body, 2) }
    }
}

/// Reads every `*.md` of a folder, in the order of their names.
pub fn read(folder: &Path) -> Result<Vec<Article>> {
    let file_error = |source| Error::File { path: folder.display().to_string(), source };
    let mut paths = std::fs::read_dir(folder)
        .map_err(file_error)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(file_error)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let mut seen = BTreeSet::new();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)
                .map_err(|source| Error::File { path: path.display().to_string(), source })?;
            let article = parse(&text).ok_or_else(|| {
                Problem::invalid(
                    path.display().to_string(),
                    "front matter",
                    "lines `id:` and `title:` between two `---`",
                )
            })?;
            if !seen.insert(article.id.clone()) {
                return Err(Problem::invalid(path.display().to_string(), &article.id, "an id of its own").into());
            }
            Ok(article)
        })
        .collect()
}

/// A text with front matter between two lines of `---`.
pub fn parse(text: &str) -> Option<Article> {
    let rest = text.strip_prefix("---\n")?;
    let (front, body) = rest.split_once("\n---\n")?;
    let field = |name: &str| {
        front
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().trim_matches('"').to_owned())
            .filter(|value| !value.is_empty())
    };
    let body = body.trim();
    (!body.is_empty()).then_some(())?;
    Some(Article { id: field("id")?, title: field("title")?, body: body.to_owned() })
}

/// The first sentences of a text, headings left out.
pub fn first_sentences(body: &str, count: usize) -> String {
    let prose: Vec<&str> =
        body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let prose = prose.join(" ");
    let mut end = prose.len();
    let mut found = 0;
    for (index, _) in prose.match_indices(". ") {
        found += 1;
        if found == count {
            end = index + 1;
            break;
        }
    }
    prose[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_gives_id_and_title() {
        let article = parse("---\nid: volatility\ntitle: \"What volatility means\"\n---\n\nIt is a spread.\n").unwrap();
        assert_eq!(article.id, "volatility");
        assert_eq!(article.title, "What volatility means");
        assert_eq!(article.body, "It is a spread.");
        assert!(parse("no front matter").is_none());
        assert!(parse("---\nid: x\n---\nbody").is_none());
    }

    #[test]
    fn an_excerpt_ends_with_a_sentence() {
        let body = "# Title\n\nOne is here. Two\nis here. Three is here.";
        assert_eq!(first_sentences(body, 2), "One is here. Two is here.");
        assert_eq!(first_sentences("Only one", 2), "Only one");
    }

    #[test]
    fn every_text_of_the_folder_reads() {
        let articles = read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/knowledge"))).unwrap();
        assert!(articles.len() >= 40, "{}", articles.len());
    }
}
