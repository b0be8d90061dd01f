//! Lists that are read whole: whoever decides on all of a list reads all of its pages.
use moneta_contracts::common::Page;
use tonic::Status;

/// Items of a page.
const PAGE: u32 = 100;

/// Most items of a list that is read whole; beyond them the answer is an error, never a part that passes for the whole.
const MOST: usize = 100_000;

/// Every item of a list: `read` answers a page's items and its `next_cursor`.
///
/// ```ignore
/// let orders = every_page(|page| {
///     let request = ListOrdersRequest { page: Some(page), ..Default::default() };
///     let (mut trading, request) = (directory.trading(), call.request(request));
///     async move {
///         let found = trading.list_orders(request).await?.into_inner();
///         Ok((found.orders, found.next_cursor))
///     }
/// });
/// ```
///
/// # Errors
/// What a page answers, or that the list does not end.
pub async fn every_page<T, F>(mut read: impl FnMut(Page) -> F + Send) -> Result<Vec<T>, Status>
where
    T: Send,
    F: Future<Output = Result<(Vec<T>, String), Status>> + Send,
{
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let (items, next) = read(Page { limit: PAGE, cursor }).await?;
        all.extend(items);
        if next.is_empty() {
            return Ok(all);
        }
        if all.len() >= MOST {
            return Err(Status::resource_exhausted(format!("a list of more than {MOST} items cannot be read whole")));
        }
        cursor = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_item_is_read_and_a_list_without_end_is_an_error() {
        let read = |end: usize| {
            every_page(move |page| {
                let from: usize = page.cursor.parse().unwrap_or_default();
                let to = (from + page.limit as usize).min(end);
                let next = if to < end { to.to_string() } else { String::new() };
                async move { Ok(((from..to).collect::<Vec<_>>(), next)) }
            })
        };
        for count in [0, 1, 100, 101, 250] {
            assert_eq!(read(count).await.unwrap(), (0..count).collect::<Vec<_>>());
        }
        assert_eq!(read(usize::MAX).await.unwrap_err().code(), tonic::Code::ResourceExhausted);
    }
}
