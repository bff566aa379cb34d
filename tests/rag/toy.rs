//! A toy embedder and a folder to play in: deterministic, no model, no network.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use unforget::Result;
use unforget::rag::{
    Collection, Embed, EmbedderId, Hit, IngestOptions, IngestReport, Progress, SearchMode,
    SearchOptions,
};

/// A hashed set of words: texts that share words are near.
pub struct Toy {
    id: EmbedderId,
    /// Texts that were embedded so far.
    pub embedded: usize,
    /// Vectors are this much too long; 0 as it should be.
    pub extra: usize,
}

impl Toy {
    pub fn new() -> Self {
        Self::named("toy", 64)
    }

    pub fn named(name: &str, dimension: usize) -> Self {
        Self {
            id: EmbedderId {
                name: name.into(),
                sha256: format!("sha-of-{name}"),
                dimension,
                recipe: EmbedderId::PLAIN.into(),
            },
            embedded: 0,
            extra: 0,
        }
    }

    /// The same model, told to read texts in another way.
    pub fn by_recipe(mut self, recipe: &str) -> Self {
        self.id.recipe = recipe.into();
        self
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0f32; self.id.dimension];
        // Never the zero vector, whatever the text.
        vector[0] = 0.01;
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric());
        // Each word once: repeated small words would drown what a text is about.
        let words: BTreeSet<&str> = words.filter(|word| word.len() > 3).collect();
        for word in words {
            let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let place = usize::try_from(hash >> 33).expect("31 bits") % vector.len();
            vector[place] += if hash & 1 == 0 { 1.0 } else { -1.0 };
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        vector.resize(vector.len() + self.extra, 0.0);
        vector
    }
}

impl Embed for Toy {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn max_tokens(&self) -> usize {
        256
    }

    /// Words by their length, everything else by its characters.
    fn count_tokens(&self, text: &str) -> usize {
        let mut tokens = 0;
        let mut run = 0usize;
        for c in text.chars().chain([' ']) {
            if c.is_alphanumeric() {
                run += 1;
            } else {
                tokens += run.div_ceil(6) + usize::from(!c.is_whitespace());
                run = 0;
            }
        }
        tokens
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.embedded += texts.len();
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

/// A folder of documents and, apart from it, one for a collection.
pub struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join("docs")).expect("a folder");
        Self { root }
    }

    pub fn docs(&self) -> PathBuf {
        // As the collection will name it.
        self.root
            .path()
            .canonicalize()
            .expect("is there")
            .join("docs")
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("collections/notes")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.docs().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, content).expect("writes");
        path
    }

    pub fn open(&self, toy: &Toy) -> Collection {
        Collection::create_or_open(&self.home(), toy.id()).expect("opens")
    }

    /// Adds all of the documents.
    pub fn add(&self, collection: &mut Collection, toy: &mut Toy) -> IngestReport {
        add(collection, &[self.docs()], toy).expect("adds")
    }
}

pub fn on(_: &Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub fn add(collection: &mut Collection, paths: &[PathBuf], toy: &mut Toy) -> Result<IngestReport> {
    collection.add(paths, toy, &IngestOptions::default(), &mut on)
}

pub fn search(collection: &mut Collection, query: &str, toy: &mut Toy) -> Vec<Hit> {
    search_by(SearchMode::Hybrid, collection, query, toy)
}

pub fn search_by(
    mode: SearchMode,
    collection: &mut Collection,
    query: &str,
    toy: &mut Toy,
) -> Vec<Hit> {
    let options = SearchOptions {
        mode,
        ..SearchOptions::default()
    };
    let found = collection.search(query, toy, &options).expect("searches");
    found.hits
}

/// The file's bytes that a hit points at.
pub fn pointed_at(hit: &Hit) -> String {
    let file = std::fs::read(Path::new(&hit.path)).expect("reads");
    String::from_utf8(file[hit.start..hit.end].to_vec()).expect("whole characters")
}
