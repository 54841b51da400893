//! `/tasks`

use crate::models::task::{NewTask, Task, TaskChange, TaskFilter};
use crate::services::db::Db;
use ember::prelude::*;
use ember::web::cache::CacheEngine as _;
use std::sync::LazyLock;

blueprint! { prefix = "/tasks", tags = ["tasks"] }

/// Single tasks, which are read more often than they are changed.
static KEPT: LazyLock<TtlCache> = LazyLock::new(|| TtlCache::new(secs(30)));

fn no_task(id: i64) -> Error {
    Error::not_found(format!("There is no task {id}."))
}

/// Lists tasks.
#[get("/")]
async fn list(
    db: Component<Db>,
    Valid(Query(filter)): Valid<Query<TaskFilter>>,
) -> Result<Json<Vec<Task>>> {
    Ok(Json(db.tasks(filter).await?))
}

/// Adds a task.
#[post("/", status = StatusCode::CREATED)]
async fn add(
    db: Component<Db>,
    urls: Urls,
    Valid(Json(new)): Valid<Json<NewTask>>,
) -> Result<(StatusCode, [(&'static str, String); 1], Json<Task>)> {
    let added = db.add_task(new).await?;
    let task = added.ok_or_else(|| Error::unprocessable("The owner of the task is nobody."))?;
    // A task that is gone may have had this id, and been kept.
    KEPT.invalidate(&format!("/tasks/{}", task.id)).await;
    let location = url_for!(urls, "task", id = task.id)?;
    Ok((StatusCode::CREATED, [("location", location)], Json(task)))
}

/// One task.
#[get("/{id}", name = "task", cache = KEPT.clone())]
async fn one(id: i64, db: Component<Db>) -> Result<Json<Task>> {
    db.task(id).await?.map(Json).ok_or_else(|| no_task(id))
}

/// Changes a task.
#[patch("/{id}")]
async fn change(
    id: i64,
    db: Component<Db>,
    Valid(Json(change)): Valid<Json<TaskChange>>,
) -> Result<Json<Task>> {
    let task = db.change_task(id, change).await?.ok_or_else(|| no_task(id))?;
    KEPT.invalidate(&format!("/tasks/{id}")).await;
    Ok(Json(task))
}

/// Deletes a task.
#[delete("/{id}", status = StatusCode::NO_CONTENT)]
async fn remove(id: i64, db: Component<Db>) -> Result<StatusCode> {
    if !db.delete_task(id).await? {
        return Err(no_task(id));
    }
    KEPT.invalidate(&format!("/tasks/{id}")).await;
    Ok(StatusCode::NO_CONTENT)
}
