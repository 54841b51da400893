//! The typical application: blueprints in modules, a database that is opened at the start, rules
//! on what comes in, a cache, a page that describes it all.
//!
//! `cargo run --example tasks --features tasks` serves it from a file, `tasks.db`, and the page
//! at `/docs`.

mod models;
mod routes;
mod services;

use ember::prelude::*;

fn app() -> Ember {
    ember::app!()
        .title("Tasks")
        .tag("tasks", "What is to be done.")
        .tag("users", "Who does it.")
        .health(Health::new())
        .docs("/docs")
}

fn main() -> Result {
    app().run()
}

#[cfg(test)]
mod tests {
    use super::app;
    use super::models::task::Task;
    use super::services::db::Db;
    use ember::prelude::*;
    use ember::serde_json::{Value, json};
    use ember::testing::{TestClient, TestResponse};

    async fn client() -> TestClient {
        TestClient::start(app().override_component(Db::in_memory().unwrap())).await.unwrap()
    }

    async fn create(client: &TestClient, body: Value) -> TestResponse {
        client.post("/tasks").json(&body).send().await
    }

    #[ember::test]
    async fn a_task_is_created_read_changed_and_deleted() {
        let client = client().await;
        let created = create(&client, json!({"title": "Read the README"})).await;
        assert_eq!(
            (created.status(), created.header("location")),
            (StatusCode::CREATED, Some("/tasks/1"))
        );
        let task: Task = client.get("/tasks/1").send().await.json().await;
        assert_eq!((task.title.as_str(), task.done), ("Read the README", false));
        let changed = client.patch("/tasks/1").json(&json!({"done": true})).send().await;
        assert!(changed.json::<Task>().await.done);
        let task: Task = client.get("/tasks/1").send().await.json().await;
        assert!(task.done, "a change is seen at once");
        assert_eq!(client.delete("/tasks/1").send().await.status(), 204);
        assert_eq!(client.get("/tasks/1").send().await.status(), 404);
        assert_eq!(client.delete("/tasks/1").send().await.status(), 404);
    }

    #[ember::test]
    async fn tasks_are_listed_in_pages() {
        let client = client().await;
        for (number, done) in [(1, false), (2, true), (3, false)] {
            create(&client, json!({"title": format!("task {number}")})).await;
            client.patch(&format!("/tasks/{number}")).json(&json!({"done": done})).send().await;
        }
        let titles = async |query: &str| -> Vec<String> {
            let tasks: Vec<Task> = client.get(&format!("/tasks{query}")).send().await.json().await;
            tasks.into_iter().map(|task| task.title).collect()
        };
        assert_eq!(titles("").await, ["task 1", "task 2", "task 3"]);
        assert_eq!(titles("?done=false&limit=1&offset=1").await, ["task 3"]);
        assert_eq!(client.get("/tasks?limit=0").send().await.status(), 422);
    }

    #[ember::test]
    async fn users_own_tasks() {
        let client = client().await;
        let ada = client.post("/users").json(&json!({"name": "Ada"})).send().await;
        assert_eq!((ada.status(), ada.header("location")), (StatusCode::CREATED, Some("/users/1")));
        assert_eq!(client.post("/users").json(&json!({"name": "Ada"})).send().await.status(), 409);
        create(&client, json!({"title": "Compute", "owner": 1})).await;
        let tasks: Vec<Task> = client.get("/users/1/tasks").send().await.json().await;
        assert_eq!(tasks.len(), 1);
        assert_eq!(client.get("/users/2/tasks").send().await.status(), 404);
        assert_eq!(create(&client, json!({"title": "Lost", "owner": 9})).await.status(), 409);
    }

    #[ember::test]
    async fn what_breaks_the_rules_is_told_with_its_place() {
        let client = client().await;
        let refused = create(&client, json!({"title": ""})).await;
        assert_eq!(refused.status(), 422);
        let problem: Value = refused.json().await;
        assert_eq!(problem["errors"][0]["pointer"], "/title");
    }

    #[ember::test]
    async fn the_database_is_opened_by_its_path() -> Result {
        let folder = std::env::temp_dir().join(format!("ember-tasks-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let env = ember::Env::of([("TASKS_DB", folder.join("tasks.db").display().to_string())]);
        for expected in ["/tasks/1", "/tasks/2"] {
            let client = TestClient::start(app().env(env.clone())).await?;
            let created = create(&client, json!({"title": "Survive"})).await;
            assert_eq!(created.header("location"), Some(expected), "the file is kept");
            client.stop().await;
        }
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }
}
