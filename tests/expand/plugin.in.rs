#[plugin(kind = "vector_store", name = "pinecone", dimension = 1536, metrics = ["cosine"])]
#[derive(Default)]
struct Pinecone;

#[plugin(kind = "vector_store", name = "disk", make = Disk::open)]
struct Disk {
    path: PathBuf,
}
