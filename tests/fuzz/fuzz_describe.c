/* fuzz_describe.c - any text as a service's description.
 *
 * What is accepted names nothing but ids and known numbers, and is accepted
 * again. */
#include "core/describe.h"
#include "fuzz.h"
#include "shop/shop.h"

#include <string.h>

static void check_type(unsigned type)
{
    MUST(type != NO_MESSAGE && type < shop_types());
    MUST(text_is_id(shop_type_name(type), 32));
}

static void check_names(const char *const *names)
{
    for (; *names != NULL; names++)
        MUST(text_is_id(*names, SERVICE_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const char *text = (const char *)bytes, *why = NULL;
    struct description *read = describe_parse(text, count, "order", &why);

    MUST((read == NULL) == (why != NULL));
    if (read == NULL)
        return 0;
    MUST(strcmp(read->service.name, "order") == 0);
    check_names(read->listens_to);
    check_names(read->view_sources);
    for (size_t i = 0; i < read->service.rule_count; i++)
        check_type(read->service.rules[i].on);
    for (size_t i = 0; i < read->service.timer_count; i++)
        check_type(read->service.timers[i].send);
    describe_close(read);
    read = describe_parse(text, count, "order", &why);
    MUST(read != NULL);
    describe_close(read);
    return 0;
}
