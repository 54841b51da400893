//! `/users`

use crate::models::task::Task;
use crate::models::user::{NewUser, User};
use crate::services::db::Db;
use ember::prelude::*;

blueprint! { prefix = "/users", tags = ["users"] }

fn nobody(id: i64) -> Error {
    Error::not_found(format!("There is no user {id}."))
}

/// Lists users.
#[get("/")]
async fn list(db: Component<Db>) -> Result<Json<Vec<User>>> {
    Ok(Json(db.users().await?))
}

/// Adds a user.
#[post("/", status = StatusCode::CREATED)]
async fn add(
    db: Component<Db>,
    urls: Urls,
    Valid(Json(new)): Valid<Json<NewUser>>,
) -> Result<(StatusCode, [(&'static str, String); 1], Json<User>)> {
    let added = db.add_user(new).await?;
    let user = added.ok_or_else(|| Error::conflict("Somebody else has this name."))?;
    let location = url_for!(urls, "user", id = user.id)?;
    Ok((StatusCode::CREATED, [("location", location)], Json(user)))
}

/// One user.
#[get("/{id}", name = "user")]
async fn one(id: i64, db: Component<Db>) -> Result<Json<User>> {
    db.user(id).await?.map(Json).ok_or_else(|| nobody(id))
}

/// The tasks of a user.
#[get("/{id}/tasks")]
async fn tasks(id: i64, db: Component<Db>) -> Result<Json<Vec<Task>>> {
    db.user(id).await?.ok_or_else(|| nobody(id))?;
    Ok(Json(db.tasks_of(id).await?))
}
