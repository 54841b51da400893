//! The calendar that limits go by, in UTC.

/// For how long a limit holds, before it begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Hour,
    Day,
    Month,
}

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

impl Period {
    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the period around a moment begins and ends, all in seconds since 1970.
    pub(super) fn around(self, now: u64) -> (u64, u64) {
        let of = |length: u64| (now - now % length, now - now % length + length);
        match self {
            Self::Hour => of(HOUR),
            Self::Day => of(DAY),
            Self::Month => {
                let (year, month) = month_of(now / DAY);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (first_day(year, month) * DAY, first_day(next.0, next.1) * DAY)
            }
        }
    }
}

/// The year and month of a day since 1970, in the proleptic Gregorian calendar (H. Hinnant,
/// "chrono-compatible low-level date algorithms", `civil_from_days`).
fn month_of(day: u64) -> (u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month)
}

/// The first day of a month, in days since 1970 (`days_from_civil` of the same).
fn first_day(year: u64, month: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_ends_with_the_calendar() {
        for (period, now, began, ends) in [
            (Period::Hour, 7_199, 3_600, 7_200),
            (Period::Day, 86_400, 86_400, 172_800),
            // 29 February 2024, and a moment in December 2025.
            (Period::Month, 1_709_164_800, 1_706_745_600, 1_709_251_200),
            (Period::Month, 1_765_000_000, 1_764_547_200, 1_767_225_600),
            (Period::Month, 0, 0, 2_678_400),
        ] {
            assert_eq!(period.around(now), (began, ends), "{period:?} {now}");
        }
    }
}
