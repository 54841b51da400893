/// One task.
#[get("/tasks/{id}", cache = TtlCache::new(secs(30)))]
pub async fn task(id: u64, db: Component<Db>) -> Result<Json<Task>> {
    db.task(id)
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[route("/tasks/{id}", methods = [PUT, PATCH])]
async fn change(Json(change): Json<Change>, id: u64, user: User) -> impl IntoResponse {
    user.change(id, change)
}
