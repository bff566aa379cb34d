//! Learning one task after another: what an adapter's versions keep, lose and bring along.
//!
//! `R[i][j]` is the score on task `j` after version `i` was trained, higher being better; version `i` is the one that
//! task `i` was added with.
//!
//! - Average accuracy, backward and forward transfer: D. Lopez-Paz and M. Ranzato, "Gradient Episodic Memory for
//!   Continual Learning", 2017, section 2.
//! - Forgetting: A. Chaudhry et al., "Riemannian Walk for Incremental Learning", 2018, section 3.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Rows are versions that a person trained: more is a mistake.
const MAX_TASKS: usize = 1000;

/// A square matrix of scores, all of them numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreMatrix {
    /// By row.
    scores: Vec<Vec<f64>>,
    /// Scores before the first task was trained.
    untrained: Vec<f64>,
}

/// The published figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Continual {
    /// Mean score of the last version over all tasks.
    pub average_accuracy: f64,
    /// Mean change of earlier tasks since each was trained; negative where they were forgotten. `None` for one task.
    pub backward_transfer: Option<f64>,
    /// Mean lead over the untrained base on tasks before they were trained. `None` for one task.
    pub forward_transfer: Option<f64>,
    /// Mean loss of earlier tasks since their best score; negative where the last version is better than ever. `None`
    /// for one task.
    pub forgetting: Option<f64>,
}

impl ScoreMatrix {
    /// Checks and takes the scores: `scores[i][j]` of version `i` on task `j`, `untrained[j]` of the base on task `j`.
    ///
    /// # Errors
    /// [`Error::Measurement`] if there are no tasks, rows of different lengths, or a score is not a number.
    pub fn new(scores: Vec<Vec<f64>>, untrained: Vec<f64>) -> Result<Self> {
        let wrong = |reason: String| Error::Measurement {
            group: "continual".to_owned(),
            reason,
        };
        let n = scores.len();
        if n == 0 || n > MAX_TASKS {
            return Err(wrong(format!(
                "{n} versions; 1 to {MAX_TASKS} can be compared"
            )));
        }
        let rows = scores.iter().chain([&untrained]);
        if let Some(row) = rows.clone().find(|row| row.len() != n) {
            let found = row.len();
            return Err(wrong(format!(
                "a version has {found} scores for {n} tasks; score every task"
            )));
        }
        if let Some(score) = rows.flatten().find(|score| !score.is_finite()) {
            return Err(wrong(format!("score {score} is not a number")));
        }
        Ok(Self { scores, untrained })
    }

    /// Scores of the untrained base, a task an entry.
    #[must_use]
    pub fn untrained(&self) -> &[f64] {
        &self.untrained
    }

    /// Scores by version, a task an entry.
    #[must_use]
    pub fn scores(&self) -> &[Vec<f64>] {
        &self.scores
    }

    /// The published figures of the last version.
    #[must_use]
    pub fn figures(&self) -> Continual {
        let n = self.scores.len();
        let last = &self.scores[n - 1];
        let earlier = |score: &dyn Fn(usize) -> f64| {
            (n > 1).then(|| (0..n - 1).map(score).sum::<f64>() / (n - 1) as f64)
        };
        let best_before = |j: usize| {
            let column = self.scores[..n - 1].iter().map(|row| row[j]);
            column.fold(f64::NEG_INFINITY, f64::max)
        };
        Continual {
            average_accuracy: last.iter().sum::<f64>() / n as f64,
            backward_transfer: earlier(&|i| last[i] - self.scores[i][i]),
            // Of task i + 1, by the version before it.
            forward_transfer: earlier(&|i| self.scores[i][i + 1] - self.untrained[i + 1]),
            forgetting: earlier(&|j| best_before(j) - last[j]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: Option<f64>, expected: f64) {
        let found = found.expect("a figure");
        assert!(
            (found - expected).abs() < 1e-12,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn by_hand() {
        let scores = vec![
            vec![0.9, 0.3, 0.2],
            vec![0.7, 0.8, 0.4],
            vec![0.6, 0.85, 0.95],
        ];
        let figures = ScoreMatrix::new(scores, vec![0.1, 0.2, 0.3])
            .unwrap()
            .figures();
        near(Some(figures.average_accuracy), 0.8);
        // ((0.6 - 0.9) + (0.85 - 0.8)) / 2
        near(figures.backward_transfer, -0.125);
        // ((0.3 - 0.2) + (0.4 - 0.3)) / 2
        near(figures.forward_transfer, 0.1);
        // ((0.9 - 0.6) + (0.8 - 0.85)) / 2
        near(figures.forgetting, 0.125);
    }

    #[test]
    fn forgetting_is_since_the_best_version_not_since_the_first() {
        let scores = vec![
            vec![0.5, 0.0, 0.0],
            vec![0.8, 0.6, 0.0],
            vec![0.6, 0.6, 0.7],
        ];
        let figures = ScoreMatrix::new(scores, vec![0.0; 3]).unwrap().figures();
        near(figures.forgetting, 0.1);
        near(figures.backward_transfer, 0.05);
    }

    #[test]
    fn one_task_has_nothing_to_forget() {
        let figures = ScoreMatrix::new(vec![vec![0.4]], vec![0.1])
            .unwrap()
            .figures();
        assert_eq!(figures.average_accuracy, 0.4);
        assert_eq!(
            (figures.backward_transfer, figures.forgetting),
            (None, None)
        );
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        assert!(ScoreMatrix::new(vec![], vec![]).is_err());
        assert!(ScoreMatrix::new(vec![vec![0.1, 0.2]], vec![0.1]).is_err());
        assert!(ScoreMatrix::new(vec![vec![0.1]], vec![]).is_err());
        assert!(ScoreMatrix::new(vec![vec![f64::NAN]], vec![0.1]).is_err());
    }
}
