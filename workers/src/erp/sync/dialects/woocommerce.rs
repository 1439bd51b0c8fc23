//! `WooCommerce`'s REST API v3: numbered pages, oldest first, so that what changes meanwhile does not move the pages.

/// The base address is `https://SHOP/wp-json/wc/v3`; consumer key and secret are a login (`basic`).
pub(super) const DESCRIPTION: &str = r#"{"entities": {
  "products": {
    "path": "products", "query": {"orderby": "id", "order": "asc", "dates_are_gmt": "true", "status": "any"},
    "id": "id", "updated_at": "date_modified_gmt",
    "paging": {"style": "page", "param": "page", "total_header": "x-wp-totalpages"},
    "page_size": {"param": "per_page", "size": 100}, "since": {"param": "modified_after", "form": "plain"},
    "fields": {"sku": "sku", "name": "name", "category": "categories.0.name", "barcode": "global_unique_id",
      "price": "regular_price??price", "active": "status=publish/private/draft/pending"},
    "push": {"update": {"method": "PUT", "path": "products/{id}"},
      "create": {"method": "POST", "path": "products",
        "find": {"path": "products", "query": {"sku": "{sku}"}, "id": "id", "same": {"sku": "sku"}}},
      "fields": {"sku": "sku", "name": "name", "regular_price": "price", "global_unique_id": "barcode"}}
  },
  "customers": {
    "path": "customers", "query": {"orderby": "id", "order": "asc", "role": "all"}, "id": "id",
    "updated_at": "date_modified_gmt",
    "paging": {"style": "page", "param": "page", "total_header": "x-wp-totalpages"},
    "page_size": {"param": "per_page", "size": 100},
    "fields": {"name": "first_name+last_name", "email": "email", "phone": "billing.phone"},
    "push": {"update": {"method": "PUT", "path": "customers/{id}"},
      "fields": {"email": "email", "billing.phone": "phone"}}
  },
  "inventory": {
    "path": "products", "query": {"orderby": "id", "order": "asc", "dates_are_gmt": "true"}, "id": "id",
    "updated_at": "date_modified_gmt",
    "paging": {"style": "page", "param": "page", "total_header": "x-wp-totalpages"},
    "page_size": {"param": "per_page", "size": 100}, "since": {"param": "modified_after", "form": "plain"},
    "fields": {"item": "id", "location": "\"default\"", "quantity": "stock_quantity"},
    "push": {"update": {"method": "PUT", "path": "products/{id}"},
      "fields": {"manage_stock": "true", "stock_quantity": "quantity"}}
  },
  "orders": {
    "path": "orders", "query": {"orderby": "id", "order": "asc", "dates_are_gmt": "true"}, "id": "id",
    "updated_at": "date_modified_gmt",
    "paging": {"style": "page", "param": "page", "total_header": "x-wp-totalpages"},
    "page_size": {"param": "per_page", "size": 100}, "since": {"param": "modified_after", "form": "plain"},
    "fields": {"customer": "customer_id", "customer_name": "billing.first_name+billing.last_name",
      "customer_email": "billing.email", "currency": "currency", "cancelled": "status=cancelled/failed/refunded/trash"},
    "lines": {"items": "line_items", "fields": {"sku": "sku", "description": "name", "quantity": "quantity",
      "unit_price": "price", "total": "total"}}
  }
}}"#;
