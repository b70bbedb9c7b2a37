# One command for each habit; `make` alone lists them.
SHELL := bash
.PHONY: help run demo client test mutations killed shape lint format worker migrate seed lock chaos chaos-live fuzz bench profile bench-growth bench-fairness bench-crowd bench-first-pulls bench-live bench-sharing bench-joining bench-seldom bench-enumeration bench-upgrading

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

run: ## install, migrate, seed and serve on http://127.0.0.1:8000
	./scripts/serve

demo: ## two phones in the browser, side by side: http://127.0.0.1:8000/demo/
	./scripts/demo

client: ## build and pack melon-sync, the app's side: client/melon-sync-….tgz
	./scripts/client

test: ## install and run every test
	./scripts/test

shape: ## sizes of the rooms, and which way their imports point
	. ./scripts/environment && install requirements.txt && python -m tools.shape

lint: ## style, format and types, as in CI
	./scripts/lint

format: ## put the code into the form that lint wants
	. ./scripts/environment && install requirements-dev.txt && ruff check --fix . && ruff format .

worker: ## run the jobs and webhooks, as the Procfile does: app/jobs.py
	. ./scripts/environment && install requirements.txt && flask db upgrade && flask events work

migrate: ## write a migration for what changed in the models: make migrate m="Add tags"
	. ./scripts/environment && install requirements.txt && flask db upgrade && flask db migrate -m "$(m)"

chaos: ## the stock client under fire for long: make chaos seeds=100
	MELON_SEEDS=$$(seq -s, 1 $(or $(seeds),100)) NODE_SECONDS=7200 ./scripts/test -k "killed_workers or refused"

chaos-live: ## phones that are told, while Redis is killed: make chaos-live kills=20
	TEST_SERVERS=yes MELON_KILLS=$(or $(kills),20) ./scripts/test -n0 -rP tests/live/test_live_chaos.py

killed: ## no event is lost: make killed commits=100000 kills=100
	MELON_COMMITS=$(or $(commits),10000) MELON_KILLS=$(or $(kills),50) ./scripts/test -s -n0 tests/events/test_killed.py

mutations: ## break the engine on purpose, place by place: the tests see each
	. ./scripts/environment && install requirements-dev.txt && python tests/mutations.py

fuzz: ## whatever is sent, answers are as described, at length: make fuzz examples=500 seed=7
	FUZZ_EXAMPLES=$(or $(examples),200) FUZZ_SEED=$(or $(seed),1) ./scripts/test tests/openapi/test_fuzz.py

seed: ## a demo account with 10,000 tasks
	. ./scripts/environment && install requirements.txt && flask db upgrade && flask seed --records 10000

lock: ## pin what requirements*.in choose, with hashes: make lock, or make lock upgrade=flask
	./scripts/lock $(if $(upgrade),--upgrade-package $(upgrade))

bench: ## beside the peer, with floors: make bench database=mysql rows=idle,login calm=600
	./scripts/bench run --database $(or $(database),mariadb) $(if $(rows),--rows $(rows)) $(if $(calm),--calm $(calm)) $(if $(off),--off $(off))

profile: ## where the CPU time goes: make profile row=idle_pull
	./scripts/bench hotspots $(or $(row),idle_pull) --database $(or $(database),mariadb) $(if $(off),--off $(off))

bench-fairness: ## a small push beside another account's large ones and sign-ins
	./scripts/bench fairness --database $(or $(database),mariadb)

bench-crowd: ## a small pull beside 2,400 silent, slow and reluctant strangers
	./scripts/bench crowd --database $(or $(database),mariadb)

bench-live: ## 10,000 streams: make bench-live what=idle,away,deaf,stop,polls streams=1000
	./scripts/bench live --database $(or $(database),mariadb) $(if $(what),--what $(what)) $(if $(streams),--streams $(streams)) $(if $(wait),--wait $(wait))

bench-first-pulls: ## other accounts' pulls beside 16 loops of first pulls of 50,000
	./scripts/bench first_pulls --database $(or $(database),mariadb)

bench-sharing: ## five members of a space who push at once, beside five devices of one account
	./scripts/bench sharing --database $(or $(database),mariadb)

bench-seldom: ## 50,000 accounts that are active in turn, each seldom
	./scripts/bench seldom --database $(or $(database),mariadb)

bench-joining: ## who joins a space of 50,000 records, beside a first pull of as many of one's own
	./scripts/bench joining --database $(or $(database),mariadb)

bench-enumeration: ## does the time of an answer tell who has an account?
	./scripts/bench enumeration --database $(or $(database),mariadb)

bench-upgrading: ## what each migration costs on tables of a million rows
	./scripts/bench upgrading --database $(or $(database),mariadb) $(if $(rows),--rows $(rows))

bench-growth: ## 10 million rows beside 200,000: make bench-growth accounts=2000
	./scripts/bench growth --database $(or $(database),mariadb) $(if $(accounts),--accounts $(accounts))
