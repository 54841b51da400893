"""What the official Python client says to our API. The address is the first argument."""

import asyncio
import json
import sys
import time
import urllib.request

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

origin = sys.argv[1]
client = OpenAI(base_url=f"{origin}/v1", api_key="sk-test", max_retries=0)


def said(text):
    return [{"role": "user", "content": text}]


def expect(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def ask(text, **options):
    return client.chat.completions.create(model="scripted", messages=said(text), **options)


def streams():
    return int(urllib.request.urlopen(f"{origin}/streams").read())


def wait_for_no_stream():
    for _ in range(500):
        if streams() == 0:
            return
        time.sleep(0.02)
    raise AssertionError("the model is still sending")


# Chat.
answer = ask("Hi")
assert answer.choices[0].message.content == "You said: Hi"
assert answer.choices[0].finish_reason == "stop"
assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 5)
assert answer._request_id.startswith("req_")
assert ask("think").choices[0].message.reasoning_content == "hm hm"
assert client.chat.completions.create(model="pirate", messages=said("Hi")).model == "pirate"

# A stream with its usage.
chunks = list(ask("Hi", stream=True, stream_options={"include_usage": True}))
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "You said: Hi"
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 12
with client.chat.completions.stream(model="scripted", messages=said("Hi")) as stream:
    assert stream.get_final_completion().choices[0].message.content == "You said: Hi"

# Calls of tools, both ways.
tool = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
turn = ask("weather", tools=[tool]).choices[0]
assert turn.finish_reason == "tool_calls"
assert [json.loads(call.function.arguments)["city"] for call in turn.message.tool_calls] == ["Paris", "Rome"]
results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in turn.message.tool_calls]
answer = client.chat.completions.create(
    model="scripted", messages=[*said("weather"), turn.message, *results], tools=[tool])
assert answer.choices[0].message.content == "It is sunny in Paris."
arguments = {}
for chunk in ask("weather", tools=[tool], stream=True):
    for call in chunk.choices[0].delta.tool_calls or []:
        arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
assert [json.loads(text)["city"] for text in arguments.values()] == ["Paris", "Rome"]


# Structured output.
class Person(BaseModel):
    name: str
    age: int


parsed = client.chat.completions.parse(model="scripted", messages=said("json"), response_format=Person)
assert parsed.choices[0].message.parsed == Person(name="Ada", age=36)

# Models and embeddings.
assert {model.id for model in client.models.list()} == {"pirate", "scripted", "words"}
assert client.models.retrieve("pirate").owned_by == "ember"
# The client asks for base64 by itself.
vectors = client.embeddings.create(model="words", input=["a", "b"])
assert [len(item.embedding) for item in vectors.data] == [8, 8]

# Errors are typed exceptions.
error = expect(openai.AuthenticationError, lambda: OpenAI(
    base_url=f"{origin}/v1", api_key="sk-wrong", max_retries=0).models.list())
assert error.code == "invalid_api_key"
error = expect(openai.BadRequestError, lambda: ask("Hi", n=2))
assert error.param == "n" and error.code == "unsupported_parameter"
error = expect(openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-9", messages=said("Hi")))
assert error.code == "model_not_found"
expect(openai.RateLimitError, lambda: ask("busy"))
expect(openai.RateLimitError, lambda: ask("busy", stream=True))
expect(openai.InternalServerError, lambda: ask("down"))
poor = OpenAI(base_url=f"{origin}/v1", api_key="sk-poor", max_retries=0)
limits = poor.models.with_raw_response.list().headers
assert limits["x-ratelimit-limit-requests"] == "1" and limits["x-ratelimit-remaining-requests"] == "0"
error = expect(openai.RateLimitError, lambda: poor.models.list())
assert error.code == "rate_limit_exceeded" and int(error.response.headers["retry-after"]) > 0

# A stream that breaks is an exception, after what has arrived.
pieces = []


def read():
    for chunk in ask("break", stream=True):
        pieces.append(chunk.choices[0].delta.content or "")


error = expect(openai.APIError, read)
assert "".join(pieces) == "one two " and error.type == "server_error"

# Cancellation reaches the model.
stream = ask("forever", stream=True)
next(stream)
assert streams() == 1
stream.close()
wait_for_no_stream()


# A hundred streams at the same time.
async def hundred():
    async with AsyncOpenAI(base_url=f"{origin}/v1", api_key="sk-test", max_retries=0) as many:

        async def one(number):
            text = ""
            async for chunk in await many.chat.completions.create(
                    model="scripted", messages=said("slow" if number % 2 else f"number {number}"), stream=True):
                text += chunk.choices[0].delta.content or ""
            return text

        return await asyncio.gather(*(one(number) for number in range(100)))


texts = asyncio.run(hundred())
for number, text in enumerate(texts):
    assert text == ("one two three four five" if number % 2 else f"You said: number {number}"), text
wait_for_no_stream()
print(f"openai {openai.__version__}")
