//! What ops make of a constant once and keep with it: a weight in the order in which a kernel reads it.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// Constants of more numbers than this are prepared at each call: their second copy would cost more memory than it
/// saves time.
const MOST_NUMBERS: usize = 1 << 20;
/// From so many rows on, a product takes long enough beside the packing of its weight.
const MOST_ROWS: usize = 2048;

/// The forms of one constant.
#[derive(Debug, Default)]
pub(crate) struct Prepared(Mutex<Vec<Form>>);

#[derive(Debug)]
struct Form {
    /// What the op that made it tells its forms apart by.
    sizes: Vec<usize>,
    form: Arc<dyn Any + Send + Sync>,
}

impl Prepared {
    /// The form of type `T` and `sizes`, which `make` gives at the first call.
    fn form<T: Any + Send + Sync>(&self, sizes: &[usize], make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let find = |forms: &[Form]| {
            let same = forms.iter().filter(|form| form.sizes == sizes);
            same.filter_map(|form| Arc::clone(&form.form).downcast().ok()).next()
        };
        let forms = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(form) = find(&forms()) {
            return Ok(form);
        }
        // Not under the lock: while a thread waits for others to make it, it may be given work that wants it too.
        let made = Arc::new(make()?);
        let mut forms = forms();
        Ok(find(&forms).unwrap_or_else(|| {
            forms.push(Form { sizes: sizes.to_vec(), form: Arc::<T>::clone(&made) });
            made
        }))
    }
}

/// The form of a constant of `numbers` numbers for a product with `rows` rows, kept with `prepared` where that pays,
/// else made.
///
/// # Errors
/// If `make` fails.
pub(crate) fn form<T: Any + Send + Sync>(
    prepared: Option<&Prepared>,
    [rows, numbers]: [usize; 2],
    sizes: &[usize],
    make: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    match prepared.filter(|_| rows <= MOST_ROWS && numbers <= MOST_NUMBERS) {
        Some(prepared) => prepared.form(sizes, make),
        None => Ok(Arc::new(make()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_made_once_for_each_kind_and_size() {
        let prepared = Prepared::default();
        let get =
            |rows: usize, sizes: &[usize], value: u32| *form(Some(&prepared), [rows, 9], sizes, || Ok(value)).unwrap();
        assert_eq!((get(1, &[1], 7), get(2, &[1], 8), get(1, &[2], 9)), (7, 7, 9));
        assert_eq!(*form(Some(&prepared), [1, 9], &[1], || Ok(5_u64)).unwrap(), 5);
        assert_eq!(get(MOST_ROWS + 1, &[1], 3), 3);
        assert!(prepared.form::<u8>(&[], || Err(crate::Error::argument("it", "a", "b"))).is_err());
        assert_eq!(*prepared.form::<u8>(&[], || Ok(4)).unwrap(), 4);
    }
}
