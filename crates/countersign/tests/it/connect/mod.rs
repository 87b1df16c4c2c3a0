//! `countersign connect`, in front of a real `dev` whose upstream the test itself is.

mod access;
mod certificates;
mod passing;
mod programs;
mod proxy;
mod scene;
mod sdk_node;
mod tools;
