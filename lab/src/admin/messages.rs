//! The few messages of the controller's gRPC service that the lab needs, written by hand: field
//! numbers as in Pravega's `Controller.proto`, fields that are not used left out.

use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeInfo {
    #[prost(string, tag = "1")]
    pub scope: String,
}

/// Asks for the first page of scopes, and takes any answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scopes {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct StreamInfo {
    #[prost(string, tag = "1")]
    pub scope: String,
    #[prost(string, tag = "2")]
    pub stream: String,
}

/// How the number of segments is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleType {
    Fixed = 0,
    EventsPerSecond = 2,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ScalingPolicy {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(int32, tag = "2")]
    pub target_rate: i32,
    #[prost(int32, tag = "3")]
    pub scale_factor: i32,
    #[prost(int32, tag = "4")]
    pub min_segments: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct StreamConfig {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamInfo>,
    #[prost(message, optional, tag = "2")]
    pub scaling: Option<ScalingPolicy>,
}

/// Every answer that is only a status has it in field 1; the meaning differs from call to call.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusOnly {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SegmentId {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamInfo>,
    #[prost(int64, tag = "2")]
    pub id: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SegmentRange {
    #[prost(message, optional, tag = "1")]
    pub segment: Option<SegmentId>,
    #[prost(double, tag = "2")]
    pub from: f64,
    #[prost(double, tag = "3")]
    pub to: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SegmentRanges {
    #[prost(message, repeated, tag = "1")]
    pub ranges: Vec<SegmentRange>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyRange {
    #[prost(double, tag = "1")]
    pub start: f64,
    #[prost(double, tag = "2")]
    pub end: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ScaleRequest {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamInfo>,
    #[prost(int64, repeated, tag = "2")]
    pub sealed: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    pub ranges: Vec<KeyRange>,
    #[prost(int64, tag = "4")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ScaleResponse {
    #[prost(int32, tag = "1")]
    pub status: i32,
    #[prost(int32, tag = "3")]
    pub epoch: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ScaleStatusRequest {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamInfo>,
    #[prost(int32, tag = "2")]
    pub epoch: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct StreamCut {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamInfo>,
    #[prost(map = "int64, int64", tag = "2")]
    pub cut: HashMap<i64, i64>,
}
