//! Records as bytes, for the cache: little-endian, length before content. Reading trusts nothing.

/// A record of the base.
pub trait Record: Sized {
    /// Appends the record.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes a record off the front; `None` if it is not one.
    fn read(input: &mut Reader<'_>) -> Option<Self>;
}

/// Bytes not read yet.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    /// A length, which cannot be more than the bytes that are left.
    pub fn length(&mut self) -> Option<usize> {
        let length = usize::try_from(u32::read(self)?).ok()?;
        (length <= self.0.len()).then_some(length)
    }
}

macro_rules! number {
    ($type:ty) => {
        impl Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Option<Self> {
                input.take().map(Self::from_le_bytes)
            }
        }
    };
}

number!(u8);
number!(u32);
number!(i32);
number!(f32);
number!(f64);

impl<T: Record> Record for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).write(out);
        for item in self {
            item.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let length = input.length()?;
        (0..length).map(|_| T::read(input)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_lies_about_length_do_not() {
        let mut bytes = Vec::new();
        vec![1.5f64, -2.0].write(&mut bytes);
        7u32.write(&mut bytes);
        let mut reader = Reader(&bytes);
        assert_eq!(Vec::<f64>::read(&mut reader), Some(vec![1.5, -2.0]));
        assert_eq!((u32::read(&mut reader), reader.0.len()), (Some(7), 0));
        assert_eq!(u32::read(&mut reader), None);
        assert_eq!(
            Vec::<f64>::read(&mut Reader(&[255, 255, 255, 255, 0])),
            None
        );
        for cut in 0..bytes.len() - 4 {
            assert_eq!(Vec::<f64>::read(&mut Reader(&bytes[..cut])), None);
        }
    }
}
