# reader.sed - order-svc/order.c as one that follows shipping, too: so shipping
# has a reader, whose log shipping reads in turn.
/^static const char \*const listens_to/s/NULL/"shipping", NULL/
