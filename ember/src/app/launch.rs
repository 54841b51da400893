use crate::base::Finding;
use std::fmt;

/// Why an application cannot start: every problem that was found, each with its places.
#[derive(Clone, PartialEq, Eq)]
pub struct LaunchError {
    findings: Vec<Finding>,
}

impl LaunchError {
    /// An error, unless nothing was found.
    pub(super) fn unless_empty(findings: Vec<Finding>) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(Self { findings }) }
    }

    /// What was found wrong.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.findings.len();
        let problems = if count == 1 { "problem" } else { "problems" };
        write!(f, "the application cannot start: {count} {problems}")?;
        for (number, finding) in (1..).zip(&self.findings) {
            let text = finding.to_string().replace('\n', "\n   ");
            write!(f, "\n\n{number:>3}. {text}")?;
        }
        Ok(())
    }
}

/// The same text, so that `unwrap` in a test is readable.
impl fmt::Debug for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LaunchError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_told_with_its_places() {
        let findings = vec![
            Finding::new("two routes answer to GET /a").at("`a` (x.rs:1)").at("`b` (x.rs:9)"),
            Finding::new("no key"),
        ];
        assert_eq!(
            LaunchError::unless_empty(findings).unwrap_err().to_string(),
            "the application cannot start: 2 problems\n\n  \
             1. two routes answer to GET /a\n       at `a` (x.rs:1)\n       at `b` (x.rs:9)\n\n  2. no key"
        );
        assert_eq!(LaunchError::unless_empty(Vec::new()), Ok(()));
    }
}
