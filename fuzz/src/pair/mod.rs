//! Stub.
/// A.
#[derive(Debug)]
pub struct Case {}
impl<'a> arbitrary::Arbitrary<'a> for Case {
    fn arbitrary(_: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self {})
    }
}
/// B.
pub fn check(_: &Case) {}
