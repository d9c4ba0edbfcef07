"""Arrays and jobs that wait for others, as `buoy submit` and buoy.yaml make them."""
from jobs import market


def test_an_array_by_flags_and_what_waits_for_it(buoy):
    array = buoy.submit("--name", "many", "--array", "4", "--", "sh", "-c", "echo task $BUOY_ARRAY_INDEX of $BUOY_ARRAY_SIZE")
    after = buoy.submit("--name", "after", "--depends-on", "many", "--", "echo", "after all")
    buoy.wait_phase(after, "succeeded")
    assert buoy.job(array)["phase"] == "succeeded"
    number = int(array[1:])
    for index in range(4):
        task = f"j{number + 1 + index}"
        assert buoy.job(task)["name"] == f"many.{index}"
        assert f"task {index} of 4" in buoy.run("logs", task, check=0).stdout
    assert after == f"j{number + 5}"


def test_a_job_fails_with_what_it_waits_for(make_buoy):
    buoy = make_buoy(market("[]", max_machines=1))
    buoy.write("buoy.yaml", "name: late\nrun: echo never\ndepends_on: [early]\n")
    early = buoy.submit("--name", "early", "--", "sh", "-c", "sleep 1; exit 3")
    late = buoy.submit()
    waiting = buoy.job(late)
    assert waiting["phase"] == "queued" and early in waiting["reason"]
    buoy.wait_phase(late, "failed")
    assert early in buoy.job(late)["reason"]
    wrong = buoy.run("submit", "--depends-on", "nobody", "--", "true")
    assert wrong.returncode != 0 and "nobody" in wrong.stderr


def test_rules_say_which_failures_are_final(buoy):
    buoy.write("buoy.yaml", "name: ruled\nrun: exit 42\nretry: {failures: 5, rules: [{exit_code: '42', retry: false}]}\n")
    job = buoy.submit()
    buoy.wait_phase(job, "failed")
    assert buoy.job(job)["attempts"] == 1
