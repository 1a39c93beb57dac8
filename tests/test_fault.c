/* test_fault.c - fault points fire when they are told to, and at no other time.
 */
#include "base/fault.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_up(void)
{
    fault_open(true);
    fault_declare("test/b", "the second");
    fault_declare("test/a", "the first");
    fault_declare("test/b", "declared again");
}

TestSuite(fault, .init = set_up);

static unsigned fires_in(const char *name, unsigned passes)
{
    unsigned count = 0;

    for (unsigned i = 0; i < passes; i++)
        count += fault_fires(name);
    return count;
}

Test(fault, a_point_that_is_not_set_never_fires)
{
    cr_assert_eq(fires_in("test/a", 1000), 0);
    cr_assert_eq(fires_in("test/never-declared", 1000), 0);
}

Test(fault, it_fires_until_it_is_cleared)
{
    cr_assert_eq(fault_set("test/a", 0, 0, 100), EVT_OK);
    cr_assert_eq(fires_in("test/a", 500), 500);
    cr_assert_eq(fires_in("test/b", 500), 0, "the other one was not set");
    cr_assert_eq(fault_clear("test/a"), EVT_OK);
    cr_assert_eq(fires_in("test/a", 500), 0);
}

Test(fault, to_ask_whether_it_is_set_is_no_pass)
{
    cr_assert_not(fault_is_set("test/a"));
    cr_assert_eq(fault_set("test/a", 1, 1, 100), EVT_OK);
    for (unsigned i = 0; i < 5; i++)
        cr_assert(fault_is_set("test/a"));
    cr_assert_not(fault_is_set("test/b"));
    cr_assert_not(fault_fires("test/a"), "this is its first pass");
    cr_assert(fault_fires("test/a"));
    cr_assert_eq(fault_clear("test/a"), EVT_OK);
    cr_assert_not(fault_is_set("test/a"));
}

Test(fault, it_fires_from_the_nth_pass_on_so_many_times)
{
    cr_assert_eq(fault_set("test/a", 3, 2, 100), EVT_OK);
    for (unsigned pass = 0; pass < 20; pass++)
        cr_assert_eq(fault_fires("test/a"), pass == 3 || pass == 4, "pass %u",
                     pass);
    /* setting it anew counts from the start */
    cr_assert_eq(fault_set("test/a", 1, 1, 100), EVT_OK);
    cr_assert_not(fault_fires("test/a"));
    cr_assert(fault_fires("test/a"));
    cr_assert_not(fault_fires("test/a"));
}

/* 2,000 passes at 25 %: 500 in the mean, 19 the deviation. */
Test(fault, it_fires_with_its_probability)
{
    unsigned count;

    cr_assert_eq(fault_set("test/a", 0, 0, 25), EVT_OK);
    count = fires_in("test/a", 2000);
    cr_assert(count > 350 && count < 650, "%u of 2000", count);
    cr_assert_eq(fault_set("test/a", 0, 7, 25), EVT_OK);
    cr_assert_eq(fires_in("test/a", 2000), 7, "times counts what fired");
}

Test(fault, what_makes_no_sense_is_refused)
{
    cr_assert_eq(fault_set("test/nowhere", 0, 0, 100), EVT_NONE);
    cr_assert_eq(fault_clear("test/nowhere"), EVT_NONE);
    cr_assert_eq(fault_set("test/a", 0, 0, 0), EVT_BAD);
    cr_assert_eq(fault_set("test/a", 0, 0, 101), EVT_BAD);
    cr_assert_eq(fires_in("test/a", 100), 0);
    cr_assert_eq(fault_clear("test/a"), EVT_OK,
                 "clearing what is clear is fine");
}

Test(fault, everything_is_cleared_at_once)
{
    cr_assert_eq(fault_set("test/a", 0, 0, 100), EVT_OK);
    cr_assert_eq(fault_set("test/b", 0, 0, 100), EVT_OK);
    cr_assert_eq(fault_clear(NULL), EVT_OK);
    cr_assert_eq(fires_in("test/a", 10) + fires_in("test/b", 10), 0);
}

Test(fault, without_leave_nothing_can_be_set)
{
    fault_open(false);
    cr_assert_eq(fault_set("test/a", 0, 0, 100), EVT_BAD);
    cr_assert_eq(fires_in("test/a", 100), 0);
}

static int64_t number(const json_t *point, const char *name)
{
    return json_integer_value(json_object_get(point, name));
}

Test(fault, points_are_listed_by_name_with_what_they_did)
{
    json_t *list, *a, *b;

    cr_assert_eq(fault_set("test/b", 2, 5, 100), EVT_OK);
    fires_in("test/b", 4);
    list = fault_list();
    cr_assert_eq(json_array_size(list), 2, "declared twice, listed once");
    a = json_array_get(list, 0);
    b = json_array_get(list, 1);
    cr_assert_str_eq(json_string_value(json_object_get(a, "point")), "test/a");
    cr_assert_str_eq(json_string_value(json_object_get(b, "point")), "test/b");
    cr_assert_str_eq(json_string_value(json_object_get(b, "what")),
                     "the second");
    cr_assert(json_is_false(json_object_get(a, "set")));
    cr_assert(json_is_true(json_object_get(b, "set")));
    cr_assert_eq(number(b, "after"), 2);
    cr_assert_eq(number(b, "times"), 5);
    cr_assert_eq(number(b, "percent"), 100);
    cr_assert_eq(number(b, "passed"), 4);
    cr_assert_eq(number(b, "fired"), 2);
    json_decref(list);
}

Test(fault, a_crash_is_a_kill_9)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (fault_set("test/a", 1, 1, 100) != EVT_OK)
            _exit(1);
        fault_crash("test/a");
        fault_crash("test/a");
        _exit(2);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What /proc says of @child: 'R' if it runs, 'S' if it waits, 'Z' if it has
 * ended. */
static char state_of(pid_t child)
{
    char path[64], state = '?';
    FILE *stat;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    stat = fopen(path, "r");
    cr_assert_not_null(stat);
    cr_assert_eq(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
    fclose(stat);
    return state;
}

Test(fault, a_hang_lasts_until_a_kill, .timeout = 60)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (fault_set("test/a", 1, 1, 100) != EVT_OK)
            _exit(1);
        fault_hang("test/a");
        fault_hang("test/a");
        _exit(2);
    }
    while (state_of(child) != 'S' && state_of(child) != 'Z')
        (void)usleep(1000);
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
