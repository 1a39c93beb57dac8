# catalogue.sed - shop/shop.c with an event that only shipping-svc knows.
/^    { PAYMENT_VOIDED, /a\
    { MESSAGE_TYPES, 1, "ParcelSent", 0, .fields = reason },
