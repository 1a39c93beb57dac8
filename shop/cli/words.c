/* words.c - describes an event in a few words for people.
 *
 * The one place of the `saga` command that knows which fields of a payload
 * people look for; json.c prints all of them.  The verbs log, trace and
 * why print these words. */
#include "shop/cli/shop_cli.h"
#include "shop/shop.h"

/* "2 widget, 1 gadget" */
static void say_lines(FILE *out, const struct payload *data)
{
    for (uint32_t i = 0; i < data->line_count; i++)
        fprintf(out, "%s%lld %s", i > 0 ? ", " : "",
                (long long)data->lines[i].quantity, data->lines[i].sku);
}

void words_say(FILE *out, const struct event *event)
{
    const struct payload *data = payload_of(event);
    char a[MONEY_BYTES], b[MONEY_BYTES];

    switch (event->type) {
    case PRODUCT_LISTED:
        fprintf(out, "%s %s", data->sku, money_text(data->price_cents, a));
        break;
    case ORDER_PLACED:
        fprintf(out, "%s  ", data->customer);
        say_lines(out, data);
        fprintf(out, "  %s", money_text(data->total_cents, a));
        break;
    case STOCK_RECEIVED:
        fprintf(out, "%lld %s", (long long)data->quantity, data->sku);
        break;
    case STOCK_RELEASED: /* a tombstone releases nothing, and says why */
        fputs(data->line_count == 0 ? data->reason : "", out);
        say_lines(out, data);
        break;
    case STOCK_RESERVED:
    case STOCK_SHIPPED:
        say_lines(out, data);
        break;
    case STOCK_REJECTED:
        fprintf(out, "needs %lld %s, has %lld", (long long)data->needed,
                data->sku, (long long)data->available);
        break;
    case FUNDS_DEPOSITED:
        fprintf(out, "%s %s", data->customer,
                money_text(data->amount_cents, a));
        break;
    case PAYMENT_CHARGED:
    case PAYMENT_REFUNDED:
        fputs(money_text(data->amount_cents, a), out);
        break;
    case PAYMENT_DECLINED:
        if (data->available < data->needed) /* that is why, then */
            fprintf(out, "needs %s, has %s", money_text(data->needed, a),
                    money_text(data->available, b));
        else
            fputs(data->reason, out);
        break;
    default: /* OrderCancelling, OrderCancelled, PaymentVoided: a reason */
        fputs(data->reason, out);
    }
}

void words_note(FILE *out, const struct event *event)
{
    switch (event->type) {
    case STOCK_REJECTED:
    case PAYMENT_DECLINED:
    case PAYMENT_CHARGED:
    case PAYMENT_REFUNDED:
        words_say(out, event);
        break;
    case ORDER_CANCELLING:
        fputs(payload_of(event)->reason, out);
        break;
    case STOCK_RELEASED:
        fputs(payload_of(event)->line_count == 0 ? "nothing was reserved" : "",
              out);
        break;
    default:
        break;
    }
}

void words_describe(FILE *out, const struct story *story)
{
    const struct payload *data = NULL;
    char total[MONEY_BYTES];

    for (size_t i = 0; i < story->count; i++)
        if (story->events[i].type == ORDER_PLACED)
            data = payload_of(&story->events[i]);
    if (data == NULL)
        return;
    fprintf(out, " · %s · ", data->customer);
    say_lines(out, data);
    fprintf(out, " · %s", money_text(data->total_cents, total));
}
