/* fuzz_describe.c - any text as a service's description.
 *
 * What is accepted names nothing but ids and known numbers, and is accepted
 * again. */
#include "core/describe.h"
#include "fuzz.h"
#include "shop/shop.h"

#include <string.h>

static void check_type(const struct lexicon *lexicon, unsigned type)
{
    const struct domain *names = lexicon_domain(lexicon);

    MUST(type != NO_MESSAGE && type < domain_types(names));
    MUST(text_is_id(domain_type_name(names, type), 32));
}

static void check_names(const char *const *names)
{
    for (; *names != NULL; names++)
        MUST(text_is_id(*names, SERVICE_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const char *text = (const char *)bytes, *why = NULL;
    struct lexicon *lexicon = lexicon_new(&shop_domain);
    struct description *read =
        describe_parse(text, count, "order", lexicon, &why);

    MUST((read == NULL) == (why != NULL));
    if (read == NULL) {
        lexicon_free(lexicon);
        return 0;
    }
    MUST(strcmp(read->service.name, "order") == 0);
    check_names(read->listens_to);
    check_names(read->view_sources);
    for (size_t i = 0; i < read->service.rule_count; i++)
        check_type(lexicon, read->service.rules[i].on);
    for (size_t i = 0; i < read->service.timer_count; i++)
        check_type(lexicon, read->service.timers[i].send);
    describe_close(read);
    read = describe_parse(text, count, "order", lexicon, &why);
    MUST(read != NULL);
    describe_close(read);
    lexicon_free(lexicon);
    return 0;
}
