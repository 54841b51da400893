use super::{only, tool};
use crate::base::Clock;
use crate::llm::tool::{ParameterSchema, Tool, ToolError};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Tells the time in a time zone; made by [`get_current_time`].
#[derive(Debug, Clone)]
#[must_use = "it becomes a tool where one is taken"]
pub struct GetCurrentTime {
    clock: Clock,
}

/// A tool that tells the time in a time zone of the IANA database, UTC unless one is named.
///
/// The answer is in the form of RFC 3339, with the day of the week and the zone:
/// `2024-05-17T14:00:00+02:00 (Friday, Europe/Paris)`.
///
/// ```
/// # use ember::llm::{Tool, ToolContext, tool::builtin};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let tool = Tool::from(builtin::get_current_time());
/// let answer = tool.call(serde_json::json!({}), &ToolContext::new()).await.unwrap();
/// assert!(answer.ends_with("UTC)"));
/// # }
/// ```
pub fn get_current_time() -> GetCurrentTime {
    GetCurrentTime { clock: Clock::system() }
}

impl GetCurrentTime {
    /// Takes the time from this clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn tell(&self, zone: Option<&str>) -> Result<String, ToolError> {
        let name = zone.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| {
            let message = format!(
                "there is no time zone `{name}`; the names are those of IANA, for example \
                 `Europe/Berlin`"
            );
            ToolError::new(message)
        })?;
        let time = Timestamp::try_from(self.clock.date())?.to_zoned(zone);
        let name = time.time_zone().iana_name().unwrap_or(name);
        Ok(format!("{} ({}, {name})", time.strftime("%Y-%m-%dT%H:%M:%S%:z"), time.strftime("%A")))
    }
}

impl From<GetCurrentTime> for Tool {
    fn from(time: GetCurrentTime) -> Self {
        let about = "Name of the time zone in the IANA database, for example \"Europe/Berlin\"; UTC unless it is given.";
        let zone = ParameterSchema::new("tz", "string", about).optional();
        tool("get_current_time", "The current date and time.", zone, move |arguments| {
            let answer =
                only::<Option<String>>(arguments, "tz").and_then(|zone| time.tell(zone.as_deref()));
            async { answer }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_of_iana() {
        let time = get_current_time();
        assert!(time.tell(None).unwrap().ends_with("UTC)"));
        assert!(time.tell(Some("")).unwrap().contains("+00:00"));
        assert!(time.tell(Some("Asia/Kolkata")).unwrap().contains("+05:30"));
        assert!(time.tell(Some("asia/kolkata")).unwrap().ends_with("Asia/Kolkata)"));
        let error = time.tell(Some("Mars/Base")).unwrap_err();
        assert!(error.message().contains("`Mars/Base`"), "{error}");
        assert!(time.tell(Some("../../etc/passwd")).is_err());
    }
}
