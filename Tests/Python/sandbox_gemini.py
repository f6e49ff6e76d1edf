#!/usr/bin/env python3
"""Checks the sandbox Gemini with Google's own client, so that what passes against it speaks the real protocol.

usage: sandbox_gemini.py BASE_URL      (of a running sandbox-gemini; needs Python 3.11 and google-genai 3)
"""
import functools
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

import httpx2
from google import genai
from google.genai import errors, types

BASE = sys.argv[1].rstrip("/")
MODEL = "gemini-3.8-flash"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@functools.cache  # a client that nobody holds closes itself under its own stream
def client(version, key="sandbox-key-1234", timeout=None):
    options = types.HttpOptions(base_url=BASE, api_version=version, timeout=timeout)
    return genai.Client(api_key=key, http_options=options)


def ask(version, contents, model=MODEL, key="sandbox-key-1234", **config):
    return client(version, key).models.generate_content(model=model, contents=contents, config=config or None)


def stream(version, contents, **config):
    """The chunks that arrived, and the exception that ended them, if one did."""
    chunks = []
    try:
        models = client(version).models
        for chunk in models.generate_content_stream(model=MODEL, contents=contents, config=config or None):
            chunks.append(chunk)
    except (errors.APIError, errors.UnknownApiResponseError, httpx2.TransportError) as error:
        return chunks, error
    return chunks, None


def text_of(chunks):
    return "".join(chunk.text or "" for chunk in chunks)


def failure(call):
    try:
        call()
    except errors.APIError as error:
        return error
    raise AssertionError("no error was raised")


def post(path, body, key="sandbox-key-1234"):
    """What the client library cannot be made to send. Gives the status and the decoded answer."""
    request = urllib.request.Request(BASE + path, json.dumps(body).encode(), {"x-goog-api-key": key} if key else {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def raw_stream(version, text):
    """The bytes of a stream."""
    body = json.dumps({"contents": [user(text)]}).encode()
    path = f"/{version}/models/{MODEL}:streamGenerateContent?alt=sse"
    with urllib.request.urlopen(urllib.request.Request(BASE + path, body, {"x-goog-api-key": "sandbox-key-1234"})) as answer:
        return answer.read()


def user(text):
    return {"role": "user", "parts": [{"text": text}]}


def details(error):
    """The details of an error by the last part of their type."""
    return {detail["@type"].rsplit(".", 1)[1]: detail for detail in error.details["error"]["details"]}


@check
def an_answer_says_that_it_is_the_sandbox(version):
    answer = ask(version, "What is the capital of France?")
    assert "sandbox" in answer.text and "not from Google" in answer.text
    assert "What is the capital of France?" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version == MODEL
    usage = answer.usage_metadata
    assert usage.prompt_token_count == 8  # 30 bytes
    assert usage.candidates_token_count == (len(answer.text.encode()) + 3) // 4
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    assert answer.response_id != ask(version, "again").response_id


@check
def a_stream_comes_in_chunks(version):
    chunks, error = stream(version, "Tell me a story")
    assert error is None and len(chunks) > 3
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + [types.FinishReason.STOP]
    assert text_of(chunks).startswith("This answer comes from the **sandbox**")
    assert chunks[-1].usage_metadata.candidates_token_count == (len(text_of(chunks).encode()) + 3) // 4
    assert text_of(chunks) == ask(version, "Tell me a story").text


@check
def a_stream_can_be_an_array_instead(version):
    status, chunks = post(f"/{version}/models/{MODEL}:streamGenerateContent", {"contents": [user("Hello")]})
    assert status == 200 and len(chunks) > 3
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    status, errors_ = post(f"/{version}/models/{MODEL}:streamGenerateContent", {"contents": []})
    assert status == 400 and errors_[0]["error"]["status"] == "INVALID_ARGUMENT"


@check
def chunks_may_cut_through_lines_and_characters(version):
    literal = "naïve 🏖️ \u2028 " * 20
    chunks, error = stream(version, f"[sandbox:chunks n=5 ms=1][sandbox:fragment bytes=3][sandbox:say] {literal}")
    assert error is None and len(chunks) == 5
    assert text_of(chunks) == literal


@check
def history_and_system_instruction_are_echoed(version):
    chat = client(version).chats.create(model=MODEL, config={"system_instruction": "Answer in rhymes."})
    chat.send_message("First")
    answer = chat.send_message("Second")
    assert "earlier messages: 2" in answer.text and "> Second" in answer.text
    assert "“Answer in rhymes.”" in answer.text


@check
def both_spellings_of_a_name_are_taken(version):
    for name in ["systemInstruction", "system_instruction"]:
        body = {"contents": [user("Hi")], name: {"parts": [{"text": "Be brief."}]}}
        status, answer = post(f"/any/prefix/{version}/models/{MODEL}:generateContent", body)
        assert status == 200 and "Be brief." in answer["candidates"][0]["content"]["parts"][0]["text"]


@check
def tokens_are_counted(version):
    assert client(version).models.count_tokens(model=MODEL, contents="x" * 41).total_tokens == 11
    instruction = {"parts": [{"text": "y" * 8}]}
    whole = {"model": f"models/{MODEL}", "contents": [user("x" * 8)], "systemInstruction": instruction}
    status, answer = post(f"/{version}/models/{MODEL}:countTokens", {"generateContentRequest": whole})
    assert status == 200 and answer["totalTokens"] == 4


@check
def files_go_along(version):
    files = [("image/png", 1_120), ("image/jpeg", 1_120), ("image/webp", 1_120), ("image/heic", 1_120), ("application/pdf", 560)]
    for number, (media_type, tokens) in enumerate(files):
        # All bytes there are, in each place of three, so that both alphabets and all paddings are seen.
        file = bytes(range(256)) * 3 + b"?" * number
        part = types.Part.from_bytes(data=file, mime_type=media_type)
        answer = ask(version, [part, "What is this?"])
        assert f"file: `{media_type}`, {len(file)} bytes" in answer.text and "> What is this?" in answer.text
        assert answer.usage_metadata.prompt_token_count == tokens + 4
        assert client(version).models.count_tokens(model=MODEL, contents=[part, "What is this?"]).total_tokens == tokens + 4
    chat = client(version).chats.create(model=MODEL)
    chat.send_message([types.Part.from_bytes(data=b"x" * 10, mime_type="image/png"), "First"])
    assert "file: `image/png`, 10 bytes" in chat.send_message("Second").text
    for media_type in ["image/gif", "image/svg+xml", "text", ""]:
        part = {"inlineData": {"mimeType": media_type, "data": "eA=="}}
        status, answer = post(f"/{version}/models/{MODEL}:generateContent", {"contents": [{"parts": [part]}]})
        assert status == 400 and "MIME type" in answer["error"]["message"]
    for data in ["=", "x", "é", "a b"]:
        part = {"inline_data": {"mime_type": "image/png", "data": data}}
        status, answer = post(f"/{version}/models/{MODEL}:generateContent", {"contents": [{"parts": [part]}]})
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


@check
def models_are_listed(version):
    models = client(version).models
    assert f"models/{MODEL}" in [model.name for model in models.list()]
    assert models.get(model=MODEL).input_token_limit == 1_048_576


@check
def the_per_minute_quota_tells_when_to_come_back(version):
    error = failure(lambda: ask(version, "[sandbox:error code=429 retry=2.5s]"))
    assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")
    assert details(error)["RetryInfo"]["retryDelay"] == "2.5s" and "Please retry in 2.5s." in error.message
    assert "PerMinute" in details(error)["QuotaFailure"]["violations"][0]["quotaId"]


@check
def the_per_minute_quota_may_tell_it_in_words_only_or_not_at_all(version):
    error = failure(lambda: ask(version, "[sandbox:error code=429]"))
    assert "RetryInfo" not in details(error) and "Please retry in 1.5s." in error.message
    error = failure(lambda: ask(version, "[sandbox:error code=429 hint=none]"))
    assert "details" not in error.details["error"] and "retry" not in error.message


@check
def the_daily_quota_is_named(version):
    error = failure(lambda: ask(version, "[sandbox:quota-daily]"))
    assert error.code == 429 and "PerDay" in details(error)["QuotaFailure"]["violations"][0]["quotaId"]


@check
def server_errors_are_served(version):
    for code, status in [(500, "INTERNAL"), (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED")]:
        error = failure(lambda: ask(version, f"[sandbox:error code={code}]"))
        assert isinstance(error, errors.ServerError) and (error.code, error.status) == (code, status)
        chunks, error = stream(version, f"[sandbox:error code={code}]")
        assert not chunks and error.code == code
    for code in [400, 401, 403, 404]:
        assert failure(lambda: ask(version, f"[sandbox:error code={code}]")).code == code


@check
def a_bad_key_is_refused(version):
    for prompt, key in [("Hi", "invalid"), ("[sandbox:bad-key]", "valid")]:
        error = failure(lambda: ask(version, prompt, key=key))
        assert (error.code, error.status) == (400, "INVALID_ARGUMENT")
        assert details(error)["ErrorInfo"]["reason"] == "API_KEY_INVALID"
    status, answer = post(f"/{version}/models/{MODEL}:generateContent", {"contents": [user("Hi")]}, key=None)
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")
    status, _ = post(f"/{version}/models/{MODEL}:generateContent?key=abcdef", {"contents": [user("Hi")]}, key=None)
    assert status == 200


@check
def an_unknown_model_is_not_found(version):
    for model in ["llama-9", "gemini-2.0-flash"] + (["gemini-flash-latest"] if version == "v1" else []):
        error = failure(lambda: ask(version, "Hi", model=model))
        assert (error.code, error.status) == (404, "NOT_FOUND") and model in error.message
    assert ask(version, "Hi", model="gemini-99-ultra").model_version == "gemini-99-ultra"


@check
def a_blocked_prompt_has_no_candidates(version):
    chunks, error = stream(version, "[sandbox:blocked]")
    assert error is None and len(chunks) == 1
    for answer in [ask(version, "[sandbox:blocked]"), chunks[0]]:
        assert not answer.candidates
        assert answer.prompt_feedback.block_reason == types.BlockedReason.SAFETY


@check
def a_poisoned_message_blocks_every_later_call(version):
    answer = types.Content(role="model", parts=[types.Part(text="x")])
    for contents in ["[sandbox:poison]", [user("[sandbox:poison]"), answer, user("[sandbox:say] Hi")]]:
        blocked = ask(version, contents)
        assert not blocked.candidates and blocked.prompt_feedback.block_reason == types.BlockedReason.SAFETY
    assert ask(version, "[sandbox:say] Hi").text == "Hi"


@check
def an_unreadable_file_is_refused_with_every_call(version):
    answer = types.Content(role="model", parts=[types.Part(text="x")])
    for media_type, message in [("image/png", "Unable to process input image"), ("application/pdf", "The document has no pages.")]:
        file = types.Part.from_bytes(data=b"x [sandbox:unreadable] x", mime_type=media_type)
        question = types.Content(role="user", parts=[file, types.Part(text="What is this?")])
        for contents in [[question], [question, answer, user("Hi")]]:
            error = failure(lambda: ask(version, contents))
            assert (error.code, error.status) == (400, "INVALID_ARGUMENT") and message in error.message


@check
def a_cut_answer_goes_on_when_asked_to(version):
    for prompt in ["[sandbox:max-tokens times=1][sandbox:say] abcdef", "[sandbox:finish reason=OTHER times=1][sandbox:say] abcdef"]:
        prompt += f" {uuid.uuid4()}"  # calls with the same message are counted
        chunks, error = stream(version, prompt)
        assert error is None and chunks[-1].candidates[0].finish_reason != types.FinishReason.STOP
        cut = text_of(chunks)
        turns = [user(prompt), types.Content(role="model", parts=[types.Part(text=cut)]), user("Continue, please.")]
        rest = ask(version, turns)
        assert rest.candidates[0].finish_reason == types.FinishReason.STOP
        assert cut and cut + rest.text == prompt.split("[sandbox:say] ")[1]


@check
def a_filter_can_cut_a_stream(version):
    for name, reason in [("safety", types.FinishReason.SAFETY), ("recitation", types.FinishReason.RECITATION)]:
        chunks, error = stream(version, f"[sandbox:{name}]")
        assert error is None and len(text_of(chunks)) > 20
        assert chunks[-1].candidates[0].finish_reason == reason and chunks[-1].candidates[0].content is None
        assert ask(version, f"[sandbox:{name}]").candidates[0].content is None


@check
def any_reason_can_end_a_stream(version):
    for reason in ["LANGUAGE", "SPII", "MALFORMED_RESPONSE"]:
        chunks, error = stream(version, f"[sandbox:finish reason={reason}]")
        assert error is None and len(text_of(chunks)) > 20
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason(reason) and chunks[-1].candidates[0].content is None
    chunks, error = stream(version, "[sandbox:stop-each] Hi")
    assert error is None and {chunk.candidates[0].finish_reason for chunk in chunks} == {types.FinishReason.STOP}
    assert ask(version, "[sandbox:blank]").text.isspace()
    for count in [3_000_000_000, 2**63 - 1]:
        assert ask(version, f"[sandbox:tokens count={count}]").usage_metadata.candidates_token_count == count


@check
def a_chunk_can_be_damaged(version):
    literal = "One, two, three and four."
    for name in ["surrogate", "bytes", "cut-event"]:
        chunks, error = stream(version, f"[sandbox:{name}][sandbox:chunks n=2 ms=0][sandbox:say] {literal}")
        # Whatever the client makes of half a character, half an event is none.
        assert name != "cut-event" or error is not None
    raw = raw_stream(version, f"[sandbox:surrogate][sandbox:chunks n=2 ms=0][sandbox:say] {literal}")
    assert b"\\ud83d\"" in raw and raw.count(b"data: ") == 2
    raw = raw_stream(version, f"[sandbox:bytes][sandbox:chunks n=2 ms=0][sandbox:say] {literal}")
    assert b"\xff\xc3\"" in raw


@check
def a_stream_can_use_all_of_the_standard(version):
    raw = raw_stream(version, "[sandbox:framing][sandbox:chunks n=2 ms=0][sandbox:say] One, two.")
    assert raw.startswith(b"\xef\xbb\xbf:\r") and b"\n" not in raw
    events = [event for event in raw.decode("utf-8-sig").split("\r\r") if "data: " in event]
    texts = [json.loads("\n".join(line[6:] for line in event.split("\r") if line.startswith("data: "))) for event in events]
    assert "".join(text["candidates"][0]["content"]["parts"][0]["text"] for text in texts) == "One, two."
    raw = raw_stream(version, "[sandbox:stream-error shape=lines code=429 retry=2s]")
    lines = raw.split(b"\r\n\r\n")[-2].split(b"\r\n")
    error = json.loads(b"\n".join(line.removeprefix(b"data: ") for line in lines))["error"]
    assert error["code"] == 429 and error["details"][0]["retryDelay"] == "2s" and len(lines) > 5
    error = failure(lambda: ask(version, "[sandbox:error code=503 retry=0s]"))
    assert details(error)["RetryInfo"]["retryDelay"] == "0s"


@check
def the_token_limit_can_cut_an_answer_or_eat_it(version):
    cut = ask(version, "[sandbox:max-tokens]").candidates[0]
    assert cut.finish_reason == types.FinishReason.MAX_TOKENS and cut.content.parts[0].text
    chunks, error = stream(version, "[sandbox:empty]")
    assert error is None
    for answer in [ask(version, "[sandbox:empty]"), chunks[-1]]:
        assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS and not answer.text
        usage = answer.usage_metadata
        assert usage.thoughts_token_count == 1024 and usage.candidates_token_count is None
        assert usage.total_token_count == usage.prompt_token_count + 1024


@check
def thoughts_come_apart_from_the_answer(version):
    parts = ask(version, "[sandbox:thoughts] Hi").candidates[0].content.parts
    assert parts[0].thought and not parts[1].thought and parts[1].thought_signature
    chunks, error = stream(version, "[sandbox:thoughts] Hi")
    assert error is None and chunks[0].candidates[0].content.parts[0].thought
    assert chunks[-1].candidates[0].content.parts[0].thought_signature
    assert text_of(chunks) == parts[1].text


@check
def a_continuation_is_followed(version):
    literal = "A long answer that needs three calls, and each gives a part of it. 🏖️"
    prompt = f"[sandbox:continuation hops=2][sandbox:say] {literal}"
    assert ask(version, prompt).text == literal
    chunks, error = stream(version, prompt)
    assert error is None and text_of(chunks) == literal
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    first = ask(version, prompt, automatic_continuation=False).candidates[0]
    assert first.finish_reason == types.FinishReason.CONTINUATION and first.continuation_token
    rest = ask(version, prompt, automatic_continuation=False, continuation_token=first.continuation_token)
    assert rest.text and literal.startswith(first.content.parts[0].text + rest.text)
    assert failure(lambda: ask(version, prompt, continuation_token=b"nonsense")).code == 400


@check
def an_error_can_come_in_the_middle_of_a_stream(version):
    for shape in ["data", "bare"]:
        chunks, error = stream(version, f"[sandbox:stream-error shape={shape}]")
        assert isinstance(error, errors.ServerError) and error.code == 503 and text_of(chunks)
    assert failure(lambda: ask(version, "[sandbox:stream-error code=500]")).code == 500


@check
def a_stream_can_break_off(version):
    chunks, error = stream(version, "[sandbox:truncate]")
    assert isinstance(error, httpx2.RemoteProtocolError) and text_of(chunks)
    chunks, error = stream(version, "[sandbox:reset]")
    assert isinstance(error, httpx2.ReadError) and text_of(chunks)
    chunks, error = stream(version, "[sandbox:truncate end=clean]")
    assert error is None and text_of(chunks) and chunks[-1].candidates[0].finish_reason is None
    chunks, error = stream(version, "[sandbox:drop]")
    assert isinstance(error, httpx2.RemoteProtocolError) and not chunks
    for name in ["truncate", "reset", "drop"]:
        try:
            ask(version, f"[sandbox:{name}]")
            raise AssertionError(f"{name}: no error was raised")
        except httpx2.TransportError:
            pass


@check
def garbage_is_not_json(version):
    chunks, error = stream(version, "[sandbox:garbage]")
    assert isinstance(error, errors.UnknownApiResponseError) and not chunks
    try:
        ask(version, "[sandbox:garbage]")
        raise AssertionError("no error was raised")
    except json.JSONDecodeError:
        pass


@check
def an_answer_can_be_late(version):
    def seconds(call):
        start = time.monotonic()
        call()
        return time.monotonic() - start

    # The quickest of some, for what else runs on the machine takes time too.
    assert 0.7 <= min(seconds(lambda: ask(version, "[sandbox:slow ms=700]")) for _ in range(4)) < 1.5
    impatient = client(version, timeout=500)
    for prompt in ["[sandbox:hang]", "[sandbox:hang after=2]"]:
        try:
            list(impatient.models.generate_content_stream(model=MODEL, contents=prompt))
            raise AssertionError("no error was raised")
        except httpx2.ReadTimeout:
            pass


@check
def what_is_said_can_be_chosen(version):
    literal = "line one\n\n[sandbox:error code=503] stays as it is"
    assert ask(version, f"[sandbox:say] {literal}").text == literal
    assert len(ask(version, "[sandbox:long bytes=1000001]").text) == 1_000_001
    chunks, error = stream(version, "[sandbox:chunks n=40 ms=0][sandbox:long bytes=4000]")
    assert error is None and len(chunks) == 40 and len(text_of(chunks)) == 4000


@check
def a_failure_can_be_for_some_calls_only(version):
    prompt = f"[sandbox:error code=503 times=2] {uuid.uuid4()}"
    assert [failure(lambda: ask(version, prompt)).code for _ in range(2)] == [503, 503]
    assert "sandbox" in ask(version, prompt).text
    assert failure(lambda: ask(version, prompt + "!")).code == 503


@check
def only_the_last_user_message_directs(version):
    earlier = [user("[sandbox:error code=503]"), {"role": "model", "parts": [{"text": "[sandbox:drop]"}]}]
    assert "earlier messages: 2" in ask(version, earlier + [user("And now?")]).text


@check
def a_misspelt_directive_is_refused(version):
    prompts = ["[sandbox:eror code=503]", "[sandbox:error cod=503]", "[sandbox:error]", "[sandbox:slow ms=soon]"]
    for prompt in prompts + ["[sandbox:drop", "[sandbox:truncate clean]"]:
        error = failure(lambda: ask(version, prompt))
        assert error.code == 400 and error.message.startswith("sandbox: "), prompt


@check
def a_broken_request_is_refused(version):
    def refused(body, word, model=MODEL):
        status, answer = post(f"/{version}/models/{model}:generateContent", body)
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT"), body
        assert word in answer["error"]["message"], answer

    model_turn = {"role": "model", "parts": [{"text": "I was saying"}]}
    refused({}, "contents is not specified")
    refused({"contents": [user("Hi"), model_turn]}, "ending with a model turn")
    assert "earlier messages: 1" in ask(version, [user("Hi"), model_turn], model="gemini-2.5-flash").text
    refused({"contents": [{"role": "assistant", "parts": [{"text": "Hi"}]}]}, "valid role: user, model")
    refused({"contents": [{"role": "user", "parts": []}]}, "contents[0].parts: contents.parts must not be empty")
    refused({"contents": [user("Hi"), {"role": "model"}, user("Hi")]}, "contents[1].parts")
    refused({"contents": [user("")]}, "contents[0].parts[0].data")
    refused({"contents": [user(1)]}, "contents[0].parts[0].text")
    refused({"contents": [user("Hi")], "system": "x"}, 'Unknown name "system"')
    refused({"contents": [user("Hi")], "systemInstruction": {"parts": []}}, "system_instruction.parts")
    refused([], "Invalid")
    for config, model in [
        ({"thinkingLevel": "low", "thinkingBudget": 5}, MODEL),
        ({"thinkingBudget": 5}, MODEL),
        ({"thinkingLevel": "minimal"}, MODEL),
        ({"thinkingLevel": "low"}, "gemini-2.5-flash"),
    ]:
        refused({"contents": [user("Hi")], "generationConfig": {"thinkingConfig": config}}, "hinking", model)
    assert ask(version, "Hi", thinking_config={"thinking_level": "low"}, safety_settings=[], max_output_tokens=9).text


@check
def what_was_received_can_be_seen(version):
    def log(method):
        with urllib.request.urlopen(urllib.request.Request(BASE + "/sandbox/requests", method=method)) as answer:
            return json.load(answer)

    log("DELETE")
    assert log("GET") == []
    ask(version, "Remember me", temperature=0.5)
    post(f"/{version}/models/{MODEL}:generateContent?key=secretkey&x=1", {"contents": []})
    first, second = log("GET")
    assert (first["method"], first["path"]) == ("POST", f"/{version}/models/{MODEL}:generateContent")
    assert first["headers"]["x-goog-api-key"] == "…1234"
    assert first["body"]["contents"] == [user("Remember me")]
    assert first["body"]["generationConfig"]["temperature"] == 0.5
    assert "secret" not in json.dumps(second) and second["path"].endswith("?key=…tkey&x=1")
    assert first["time"] <= second["time"]


for version in ["v1", "v1beta"]:
    for function in CHECKS:
        name = f"{version}: {function.__name__.replace('_', ' ')}"
        try:
            function(version)
        except Exception as error:
            print(f"FAILED  {name}", flush=True)
            raise SystemExit(f"{name}: {type(error).__name__}: {error}") from error
        print(f"ok      {name}", flush=True)
