/// The current weather in a city.
///
/// # Errors
/// This is not for the model.
#[tool]
async fn get_weather(
    /// Name of the city, for example "Paris".
    city: String,
    /// Unit of the temperature.
    #[default(Unit::Celsius)]
    unit: Unit,
) -> Result<Weather, ToolError> {
    weather(city, unit).await
}

#[tool(name = "now", description = "The time.", timeout = secs(1))]
fn get_current_time() -> String {
    time()
}

#[tool]
async fn count_tasks(tasks: Component<Tasks>, at_least: Option<u8>) -> usize {
    tasks.count(at_least)
}
