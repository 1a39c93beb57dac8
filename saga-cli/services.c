/* services.c - which services there are, and what each says about itself.
 *
 * Those that the program was built with are known.  Any other directory of the
 * data directory that holds a log or a description is a service, too.  It
 * describes itself: by its answer, or else by the file that it left.  A file is
 * a stranger's: it is bounded, must be a plain file, must name its directory,
 * and must belong to the log beside it. */
#include "saga-cli/saga.h"

#include "core/describe.h"
#include "log/store.h"
#include "read/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DESCRIBE_MS = 500 };

/* One that this program was not built with. */
struct other {
    char name[SERVICE_BYTES];
    struct description *description; /* NULL if nobody describes it */
    struct service bare;             /* then its tables: the name alone */
    char trouble[STORE_WHY_BYTES];
    bool asked;
};

static const char *names[SERVICES_MAX];
static const struct service *tables[SERVICES_MAX];
static struct other others[SERVICES_MAX];
static unsigned count, built_in; /* the latter come first */

const struct domain *saga_domain(void)
{
    return saga_tool()->service_count > 0 ? saga_tool()->services[0]->domain
                                          : NULL;
}

struct lexicon *saga_lexicon(void)
{
    static struct lexicon *lexicon; /* lives as long as the program */

    if (lexicon == NULL)
        lexicon = lexicon_new(saga_domain());
    return lexicon;
}

const struct domain *saga_names(void)
{
    return lexicon_domain(saga_lexicon());
}

unsigned saga_services(void)
{
    return count;
}

unsigned saga_own_services(void)
{
    return built_in > 0 ? built_in : count;
}

const char *saga_service(unsigned number)
{
    return names[number];
}

int saga_service_number(const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

bool saga_is_built_in(unsigned number)
{
    return number < built_in;
}

/* ---- finding ------------------------------------------------------------- */

static bool holds(int directory, const char *name)
{
    struct stat found;

    return fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(found.st_mode);
}

/* Whether @name in the directory @fd is a service's directory: a copy of one
 * under another name is not, since its log says whose it is. */
static bool is_service(const struct saga *saga, int fd, const char *name)
{
    char path[4096], why[STORE_WHY_BYTES];
    struct store *log = NULL;
    bool has_log, has_description;
    int inside;

    if (!text_is_id(name, SERVICE_BYTES) || name[0] == '.')
        return false;
    inside = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inside < 0)
        return false;
    has_log = holds(inside, "log.db");
    has_description = holds(inside, "service.json");
    close(inside);
    if (!has_log)
        return has_description;
    snprintf(path, sizeof path, "%s/%s/log.db", saga->directory, name);
    if (store_open_readonly(path, NULL, NULL, &log, why) != EVT_OK)
        return has_description || saga_runs(saga, name);
    has_log = strcmp(store_service(log), name) == 0;
    store_close(log);
    return has_log;
}

static void add_other(const char *name)
{
    static const char *const nobody[] = {NULL};
    struct other *other = &others[count];

    text_copy(other->name, sizeof other->name, name);
    other->bare = (struct service){.name = other->name, .listens_to = nobody};
    names[count] = other->name;
    tables[count++] = &other->bare;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

bool saga_find_services(const struct saga *saga)
{
    struct dirent **entries = NULL;
    int fd = open(saga->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int found = fd < 0 ? 0 : scandirat(fd, ".", &entries, NULL, by_name);
    unsigned before = count;

    for (; count < saga_tool()->service_count; built_in = ++count) {
        tables[count] = saga_tool()->services[count];
        names[count] = tables[count]->name;
    }
    for (int i = 0; i < found; i++) {
        if (count < SERVICES_MAX &&
            saga_service_number(entries[i]->d_name) < 0 &&
            is_service(saga, fd, entries[i]->d_name))
            add_other(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (fd >= 0)
        close(fd);
    return count > before;
}

/* ---- describing ---------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void
set_trouble(struct other *other, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(other->trouble, sizeof other->trouble, format, arguments);
    va_end(arguments);
}

/* What the process answers.  A service that was built before services described
 * themselves answers with an error. */
static bool ask_process(struct saga *saga, struct other *other)
{
    json_t *ask = json_pack("{s:s}", "get", "description"), *reply = NULL;
    const char *why = NULL;

    if (client_ask(saga->client, other->name, "qry", ask, DESCRIBE_MS,
                   &reply) == EVT_OK) {
        other->description =
            describe_read(reply, other->name, saga_lexicon(), &why);
        if (other->description == NULL)
            set_trouble(other, "what %s-svc answers is no description: %s",
                        other->name, why);
    }
    json_decref(reply);
    json_decref(ask);
    return other->description != NULL;
}

/* Reads and checks SERVICE's service.json; NULL: *why says why not.  *text (may
 * be NULL) becomes what was read, which the caller frees. */
static struct description *read_file(const struct saga *saga,
                                     const char *service, const char **why,
                                     char **text)
{
    char path[4096], *bytes = malloc(DESCRIPTION_MAX + 1);
    struct description *description = NULL;
    struct stat found;
    ssize_t got = -1;
    int fd;

    if (bytes == NULL)
        abort();
    snprintf(path, sizeof path, "%s/%s/service.json", saga->directory, service);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *why = strerror(errno);
    if (fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode))
        got = read(fd, bytes, DESCRIPTION_MAX + 1);
    else if (fd >= 0)
        *why = "not a file";
    if (fd >= 0)
        close(fd);
    if (got >= 0)
        description =
            describe_parse(bytes, (size_t)got, service, saga_lexicon(), why);
    if (description != NULL && text != NULL)
        *text = strndup(bytes, (size_t)got);
    free(bytes);
    return description;
}

/* Whether it describes the service that writes @log. */
static bool is_of_log(const struct description *description,
                      const struct store *log)
{
    return description->has_log &&
           memcmp(description->log_id, store_log_id(log), LOG_ID_BYTES) == 0;
}

char *saga_description_of(const struct saga *saga, const struct store *log)
{
    const char *why;
    char *text = NULL;
    struct description *description =
        read_file(saga, store_service(log), &why, &text);

    if (description != NULL && !is_of_log(description, log)) {
        free(text);
        text = NULL;
    }
    describe_close(description);
    return text;
}

static void ask_the_file(const struct saga *saga, struct other *other)
{
    char path[4096], unopened[STORE_WHY_BYTES];
    struct store *log = NULL;
    const char *why = NULL;

    snprintf(path, sizeof path, "%s/%s/log.db", saga->directory, other->name);
    other->description = read_file(saga, other->name, &why, NULL);
    if (other->description != NULL &&
        (store_open_readonly(path, other->name, NULL, &log, unopened) !=
             EVT_OK ||
         !is_of_log(other->description, log))) {
        why = "it does not describe the log beside it";
        describe_close(other->description);
        other->description = NULL;
    }
    store_close(log);
    if (other->description == NULL)
        set_trouble(other, "%s/%s/service.json: %s", saga->directory,
                    other->name, why);
}

static void describe(struct saga *saga, struct other *other)
{
    if (other->asked)
        return;
    other->asked = true;
    if (!ask_process(saga, other) && other->trouble[0] == '\0')
        ask_the_file(saga, other);
}

const struct service *const *saga_tables(struct saga *saga)
{
    for (unsigned i = built_in; i < count; i++) {
        struct other *other = &others[i];

        describe(saga, other);
        if (other->description != NULL)
            tables[i] = &other->description->service;
    }
    return tables;
}

const char *saga_undescribed(unsigned number)
{
    return number < built_in || others[number].description != NULL
               ? NULL
               : others[number].trouble;
}

const char *saga_view(struct saga *saga, unsigned number)
{
    if (number < built_in)
        return saga_tool()->views[number]->name;
    (void)saga_tables(saga);
    return saga_undescribed(number) == NULL ? others[number].description->view
                                            : names[number];
}

json_t *saga_descriptions(struct saga *saga)
{
    json_t *all = json_array();

    (void)saga_tables(saga);
    for (unsigned i = 0; i < count; i++) {
        const struct view *view = i < built_in ? saga_tool()->views[i] : NULL;

        if (view != NULL)
            json_array_append_new(all, describe_service(tables[i], view->name,
                                                        view->sources, NULL));
        else if (saga_undescribed(i) == NULL)
            json_array_append(all, others[i].description->json);
    }
    return all;
}

/* ---- errors -------------------------------------------------------------- */

int saga_no_service(const struct saga *saga, const char *name)
{
    char list[SERVICES_MAX * (SERVICE_BYTES + 6)] = "";
    size_t at = 0;

    if (count == 0)
        return saga_no_services(saga, SAGA_NO_SUCH);
    for (unsigned i = 0; i < count; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i == 0           ? ""
                               : i + 1 == count ? " and "
                                                : ", ",
                               names[i]);
    return saga_fail(saga, SAGA_USAGE, "no service %s: the services are %s",
                     name, list);
}

int saga_one_service(const struct saga *saga, int *only)
{
    int number;

    if (saga->word_count == 0)
        return SAGA_YES;
    number = saga_service_number(saga->words[0]);
    if (number < 0)
        return saga_no_service(saga, saga->words[0]);
    *only = number;
    return SAGA_YES;
}
