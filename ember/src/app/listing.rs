//! What an application prints about itself.

use super::ready::Ready;
use crate::web::RouteEntry;
use std::fmt::Write as _;

impl Ready {
    /// The route table, one line for each route: methods, path, function, place.
    pub fn route_table(&self) -> String {
        let rows: Vec<_> = self.site().state().routes.iter().map(row).collect();
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        let mut table = String::new();
        for [methods, path, name, place] in &rows {
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "{methods:<0$}  {path:<1$}  {name:<2$}  {place}",
                widths[0], widths[1], widths[2]
            );
        }
        table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

fn row(route: &RouteEntry) -> [String; 4] {
    let methods: Vec<_> = route.methods.iter().map(http::Method::as_str).collect();
    let place = route.location.map(|location| location.to_string());
    // A mounted service answers to all of them.
    let methods = if methods.is_empty() { "*".to_owned() } else { methods.join("|") };
    [methods, route.path.clone(), route.name.clone(), place.unwrap_or_default()]
}
