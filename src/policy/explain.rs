//! The rules of a site told one by one: which hold for a request, and which of them decide.

use super::glob::Path;
use super::rules::{Asked, SiteRules};

/// A rule that holds for a request, and perhaps for the status of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// From 1, in the order of the file.
    pub number: usize,
    /// It says that the request goes past the cache, or that it does not.
    pub bypass: Option<bool>,
    /// No rule before it says so.
    pub decides_bypass: bool,
    /// The lifetime that it gives, in seconds.
    pub ttl: Option<u32>,
    /// No rule before it gives one.
    pub decides_ttl: bool,
}

impl SiteRules {
    /// The rules that hold for what is asked and a response of `status`, in order.
    pub fn applied(&self, asked: &Asked<'_>, status: u16) -> Vec<Applied> {
        let path = Path::of(asked.target);
        let is_doubtful = path.is_doubtful();
        let mut found: Vec<Applied> = Vec::new();
        for (number, rule) in (1..).zip(&self.rules) {
            let bypass = rule.bypass.filter(|_| rule.says_bypass(path, is_doubtful, asked));
            let ttl = rule.ttl.filter(|_| rule.says_ttl(path, is_doubtful, status));
            let decides_bypass = bypass.is_some() && found.iter().all(|rule| rule.bypass.is_none());
            let decides_ttl = ttl.is_some() && found.iter().all(|rule| rule.ttl.is_none());
            if bypass.is_some() || ttl.is_some() {
                found.push(Applied { number, bypass, decides_bypass, ttl, decides_ttl });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::glob::Glob;
    use super::super::rules::{Rule, StatusMatch};
    use super::super::tests::Lines;
    use super::*;

    #[test]
    fn rules_are_told_in_order_and_the_first_of_each_kind_decides() {
        let path = |glob: &str| Rule { path: vec![Glob::parse(glob).unwrap()], ..Rule::default() };
        let own = SiteRules {
            rules: vec![
                Rule { bypass: Some(false), ..path("/a/b/") },
                Rule { ttl: Some(5), ..path("/x/") },
                Rule { bypass: Some(true), ttl: Some(7), ..path("/a/") },
                Rule { status: vec![StatusMatch::Exact(404)], ttl: Some(8), ..Rule::default() },
                Rule { ttl: Some(9), ..path("/**") },
            ],
            ..SiteRules::default()
        };
        let told = |target, status| {
            let asked = Asked { target, fields: &Lines(&[]) };
            let told = own.applied(&asked, status);
            let decides = |is: fn(&Applied) -> bool| told.iter().find(|rule| is(rule)).map(|rule| rule.number);
            assert_eq!(
                own.bypass(&asked).is_some(),
                told.iter().any(|rule| rule.decides_bypass && rule.bypass == Some(true))
            );
            let numbers: Vec<usize> = told.iter().map(|rule| rule.number).collect();
            (numbers, decides(|rule| rule.decides_bypass), decides(|rule| rule.decides_ttl))
        };
        assert_eq!(told("/a/b/c", 200), (vec![1, 3, 5], Some(1), Some(3)));
        assert_eq!(told("/a/c", 200), (vec![3, 5], Some(3), Some(3)));
        assert_eq!(told("/c", 404), (vec![4], None, Some(4)));
        assert_eq!(told("/c", 500), (vec![], None, None));
    }
}
