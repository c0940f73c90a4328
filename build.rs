//! What is embedded in the binary is watched: migrations by sqlx, the dashboard by rust-embed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=dashboards/web/dist");
}
