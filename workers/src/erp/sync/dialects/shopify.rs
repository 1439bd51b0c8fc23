//! Shopify's REST Admin API: lists by `Link`, a product is each of its variants, levels name them by inventory item.

/// What is new is looked for before it is made: a product by its handle, which is made of its code, a customer by the address,
/// which Shopify takes from one customer only.
///
/// The base address is `https://SHOP.myshopify.com/admin/api/2024-07`, the token's header `X-Shopify-Access-Token`.
pub(super) const DESCRIPTION: &str = r#"{"entities": {
  "products": {
    "path": "products.json", "items": "products", "expand": "variants", "blank": ["Default Title"],
    "id": "id", "alias": "inventory_item_id", "updated_at": "parent.updated_at??updated_at",
    "paging": {"style": "link"}, "page_size": {"param": "limit", "size": 250},
    "since": {"param": "updated_at_min"},
    "fields": {"sku": "sku", "name": "parent.title+title", "category": "parent.product_type", "barcode": "barcode",
      "price": "price", "active": "parent.status=active/draft"},
    "push": {"update": {"method": "PUT", "path": "variants/{id}.json"}, "wrap": "variant", "id": "variant.id",
      "create": {"method": "POST", "path": "products.json", "wrap": "product", "id": "product.variants.0.id",
        "alias": "product.variants.0.inventory_item_id",
        "fields": {"title": "name", "handle": "mark", "product_type": "category", "variants.0.sku": "sku",
          "variants.0.barcode": "barcode", "variants.0.price": "price"},
        "find": {"path": "products.json", "query": {"handle": "{mark}"}, "items": "products", "id": "variants.0.id",
          "alias": "variants.0.inventory_item_id", "same": {"variants.0.sku": "sku"}}},
      "fields": {"id": "external_id", "sku": "sku", "barcode": "barcode", "price": "price"}}
  },
  "customers": {
    "path": "customers.json", "items": "customers", "id": "id", "updated_at": "updated_at",
    "paging": {"style": "link"}, "page_size": {"param": "limit", "size": 250}, "since": {"param": "updated_at_min"},
    "fields": {"name": "first_name+last_name", "email": "email", "phone": "phone"},
    "push": {"update": {"method": "PUT", "path": "customers/{id}.json"}, "wrap": "customer", "id": "customer.id",
      "create": {"method": "POST", "path": "customers.json",
        "fields": {"first_name": "name", "email": "email", "phone": "phone"},
        "find": {"path": "customers/search.json", "query": {"query": "email:{email}"}, "items": "customers", "id": "id",
          "same": {"email": "email"}}},
      "fields": {"id": "external_id", "email": "email", "phone": "phone"}}
  },
  "inventory": {
    "path": "inventory_levels.json", "items": "inventory_levels", "id": "inventory_item_id+location_id",
    "updated_at": "updated_at", "paging": {"style": "link"}, "page_size": {"param": "limit", "size": 250},
    "since": {"param": "updated_at_min"},
    "fields": {"item": "inventory_item_id", "location": "location_id", "quantity": "available"},
    "push": {"update": {"method": "POST", "path": "inventory_levels/set.json"}, "id": "inventory_level.inventory_item_id",
      "fields": {"inventory_item_id": "item", "location_id": "location", "available": "quantity"}}
  },
  "orders": {
    "path": "orders.json", "query": {"status": "any"}, "items": "orders", "id": "id", "updated_at": "updated_at",
    "paging": {"style": "link"}, "page_size": {"param": "limit", "size": 250}, "since": {"param": "updated_at_min"},
    "fields": {"customer": "customer.id", "customer_name": "customer.first_name+customer.last_name",
      "customer_email": "email", "currency": "currency", "cancelled_at": "cancelled_at"},
    "lines": {"items": "line_items", "fields": {"sku": "sku", "description": "name", "quantity": "quantity",
      "unit_price": "price", "discount": "total_discount"}}
  }
}}"#;
