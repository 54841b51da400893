//! Texts of our own, of the kinds that models are sent.

/// Each kind, and a text of it.
pub(super) const TEXTS: &[(&str, &str)] = &[
    (
        "English",
        "The harbour was quiet when we arrived, and nobody had told the ferryman that we were coming. \
         He looked at our tickets for a long time, shook his head, and finally waved us aboard without \
         another word. \"You won't find a hotel on the other side,\" he said later, leaning on the rail. \
         \"There was one, but it's been closed since the storm.\" We thanked him anyway; it didn't seem \
         polite to mention that we'd booked it only yesterday. By the time the lights of the island came \
         into sight, three of us had fallen asleep.",
    ),
    (
        "English, technical",
        "A reservation is made before the request is sent and settled after the response has been received. \
         If the connection is interrupted, the implementation must not assume that nothing was consumed: \
         authentication, configuration and serialization are deterministic, whereas the provider's \
         accounting is not. Consequently, asynchronous cancellation is treated identically to termination, \
         and idempotency is guaranteed by a transactional compare-and-swap operation.",
    ),
    (
        "German",
        "Als wir am Hafen ankamen, war es still, und niemand hatte dem Fährmann gesagt, dass wir kommen. \
         Er betrachtete unsere Fahrkarten lange, schüttelte den Kopf und winkte uns schließlich wortlos an \
         Bord. Die Geschwindigkeitsbegrenzung auf der Landstraße, die Straßenverkehrsordnung und die \
         Zulassungsbescheinigung waren ihm offenbar gleichgültig. Über das Wetter äußerte er sich nicht.",
    ),
    (
        "French",
        "Le port était calme à notre arrivée, et personne n'avait prévenu le passeur de notre venue. Il \
         regarda longuement nos billets, secoua la tête et, finalement, nous fit signe de monter à bord \
         sans ajouter un mot. « Vous ne trouverez pas d'hôtel là-bas », dit-il plus tard, appuyé au \
         bastingage. L'été dernier, où qu'on allât, c'était déjà comme ça.",
    ),
    (
        "Spanish",
        "El puerto estaba tranquilo cuando llegamos y nadie había avisado al barquero de nuestra visita. \
         Miró los billetes durante un buen rato, negó con la cabeza y al final nos dejó subir sin decir \
         nada más. «No encontrarán ningún hotel al otro lado», comentó después. ¿Quién lo habría \
         imaginado? Mañana, según parece, lloverá también en las montañas.",
    ),
    (
        "Polish",
        "Kiedy dotarliśmy do portu, było cicho i nikt nie uprzedził przewoźnika, że przyjedziemy. Długo \
         oglądał nasze bilety, pokręcił głową i w końcu bez słowa wpuścił nas na pokład. Po drugiej \
         stronie nie ma już żadnego hotelu, powiedział później, opierając się o burtę. Zeszłej zimy \
         wszystko zniszczyła burza.",
    ),
    (
        "Turkish",
        "Limana vardığımızda ortalık sessizdi ve kimse kayıkçıya geleceğimizi söylememişti. Biletlerimize \
         uzun uzun baktı, başını salladı ve sonunda tek kelime etmeden bizi gemiye aldı. Karşı kıyıda \
         artık otel bulamazsınız, dedi daha sonra; fırtınadan beri kapalıymış.",
    ),
    (
        "Russian",
        "Когда мы добрались до гавани, было тихо, и никто не предупредил паромщика о нашем приезде. Он \
         долго рассматривал билеты, покачал головой и наконец молча пропустил нас на борт. На другом \
         берегу гостиницы больше нет, сказал он позже, опершись на перила: её закрыли после \
         прошлогоднего шторма, и восстанавливать её, по-видимому, никто не собирается.",
    ),
    (
        "Greek",
        "Όταν φτάσαμε στο λιμάνι επικρατούσε ησυχία και κανείς δεν είχε ειδοποιήσει τον βαρκάρη ότι θα \
         ερχόμασταν. Κοίταξε για πολλή ώρα τα εισιτήριά μας, κούνησε το κεφάλι και στο τέλος μας άφησε \
         να ανεβούμε χωρίς να πει λέξη.",
    ),
    (
        "Arabic",
        "عندما وصلنا إلى الميناء كان المكان هادئا ولم يخبر أحد صاحب القارب بقدومنا. نظر إلى تذاكرنا \
         طويلا ثم هز رأسه وسمح لنا أخيرا بالصعود دون أن يقول كلمة أخرى. لن تجدوا فندقا في الجهة \
         المقابلة، قال لاحقا، فقد أغلق منذ العاصفة الأخيرة.",
    ),
    (
        "Hebrew",
        "כשהגענו לנמל היה שקט, ואיש לא סיפר לבעל המעבורת שאנחנו באים. הוא הסתכל בכרטיסים שלנו זמן רב, \
         הניד בראשו ולבסוף הניח לנו לעלות בלי לומר מילה נוספת.",
    ),
    (
        "Hindi",
        "जब हम बंदरगाह पहुँचे तो वहाँ सन्नाटा था और किसी ने नाविक को हमारे आने की खबर नहीं दी थी। उसने देर तक हमारे टिकट देखे, \
         सिर हिलाया और आखिर में बिना कुछ कहे हमें नाव पर चढ़ने दिया। उस पार अब कोई होटल नहीं है, उसने बाद में कहा।",
    ),
    (
        "Thai",
        "เมื่อเรามาถึงท่าเรือ ที่นั่นเงียบสงบ และไม่มีใครบอกคนขับเรือว่าเราจะมา เขามองตั๋วของเราอยู่นาน ส่ายหัว \
         แล้วในที่สุดก็ยอมให้เราขึ้นเรือโดยไม่พูดอะไรอีก",
    ),
    (
        "Chinese",
        "我们到达港口的时候，四周一片寂静，没有人告诉船夫我们要来。他仔细看了很久我们的船票，摇了摇头，\
         最后什么也没说就让我们上了船。后来他靠在栏杆上说：“对岸已经没有旅馆了，自从那场暴风雨以后就一直关着。”\
         我们还是向他道了谢，因为房间是昨天才订好的。",
    ),
    (
        "Japanese",
        "港に着いたとき、あたりは静まり返っていて、私たちが来ることを船頭に伝えた人は誰もいなかった。\
         彼は切符を長いあいだ眺め、首を振り、結局なにも言わずに船に乗せてくれた。「向こう岸にはもうホテルはありませんよ」\
         と、あとになって手すりにもたれながら彼は言った。",
    ),
    (
        "Korean",
        "우리가 항구에 도착했을 때 주위는 조용했고, 뱃사공에게 우리가 온다는 사실을 알려 준 사람은 아무도 없었다. \
         그는 표를 한참 동안 들여다보더니 고개를 저었고, 결국 아무 말 없이 우리를 배에 태워 주었다.",
    ),
    (
        "Rust",
        "impl<S: Stream<Item = Result<Bytes, Error>>> Stream for Metered<S> {\n    type Item = S::Item;\n\n    \
         fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {\n        \
         let this = self.as_mut().project();\n        match ready!(this.inner.poll_next(cx)) {\n            \
         Some(Ok(bytes)) => {\n                *this.count += bytes.len() as u64;\n                \
         Poll::Ready(Some(Ok(bytes)))\n            }\n            other => Poll::Ready(other),\n        }\n    }\n}\n",
    ),
    (
        "Python",
        "from dataclasses import dataclass, field\n\n@dataclass(frozen=True)\nclass Reading:\n    sensor_id: str\n    \
         values: list[float] = field(default_factory=list)\n\n    def mean(self) -> float | None:\n        \
         \"\"\"Return the mean, or None where there is nothing.\"\"\"\n        if not self.values:\n            \
         return None\n        return sum(self.values) / len(self.values)\n\n\nif __name__ == \"__main__\":\n    \
         print(Reading(\"a-17\", [1.5, 2.25, 3.0]).mean())\n",
    ),
    (
        "SQL",
        "SELECT c.customer_id, c.name, COUNT(o.id) AS order_count, SUM(o.total_cents) / 100.0 AS total\n\
         FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.customer_id\n\
         WHERE o.created_at >= '2025-01-01' AND o.status IN ('PAID', 'SHIPPED')\n\
         GROUP BY c.customer_id, c.name HAVING COUNT(o.id) > 3 ORDER BY total DESC LIMIT 50;\n",
    ),
    (
        "JSON",
        r#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the weather in Lisbon?"}],"tools":[{"type":"function","function":{"name":"get_weather","description":"Returns the weather of a city.","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city"],"additionalProperties":false}}}]}"#,
    ),
    (
        "JSON, indented",
        "{\n  \"id\": \"ord_4821\",\n  \"created\": \"2025-11-03T09:41:27Z\",\n  \"lines\": [\n    {\n      \
         \"sku\": \"TEA-250-GRN\",\n      \"quantity\": 3,\n      \"unit_price\": 7.95,\n      \"discount\": null\n    \
         },\n    {\n      \"sku\": \"CUP-WHT\",\n      \"quantity\": 12,\n      \"unit_price\": 4.5,\n      \
         \"discount\": 0.1\n    }\n  ],\n  \"paid\": true\n}\n",
    ),
    (
        "numbers",
        "date,open,high,low,close,volume\n2025-03-03,182.41,184.97,181.02,184.3,58210412\n\
         2025-03-04,184.11,185.6,179.88,180.25,71230985\n2025-03-05,180.9,183.33,180.07,182.76,49882013\n\
         2025-03-06,182.5,182.99,176.4,177.02,88104467\n2025-03-07,177.25,179.81,175.63,179.44,63999120\n",
    ),
    (
        "Markdown",
        "# Getting started\n\n1. Install the tool: `cargo install --locked thing`\n2. Run `thing init`, and answer \
         the questions\n3. Open <http://localhost:8000/docs>\n\n| option | default | meaning |\n|---|---|---|\n\
         | `--port` | 8000 | where it listens |\n| `--quiet` | false | logs **nothing** |\n\n> *Note:* see \
         [the manual](https://example.com/manual/v2/index.html#install) first.\n",
    ),
    (
        "HTML",
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Orders</title></head>\n<body \
         class=\"dark\">\n  <ul id=\"orders\">\n    <li data-id=\"17\"><a href=\"/orders/17\">Seventeen</a></li>\n    \
         <li data-id=\"18\"><a href=\"/orders/18\">Eighteen</a></li>\n  </ul>\n</body>\n</html>\n",
    ),
    (
        "log",
        "2025-11-21T10:42:07.113Z INFO  http: request{id=9f8a3c1e method=POST path=/v1/chat} finished status=200 \
         elapsed_ms=1841\n2025-11-21T10:42:07.559Z WARN  llm::retry: attempt 2 of 3 failed: 503 Service \
         Unavailable (upstream 10.0.12.7:8443), waiting 750ms\n",
    ),
    ("emoji", "That was great 🎉🎉 see you tomorrow 👋🏽 … or not 🤷‍♀️? ❤️ from all of us ☀️🌊🏝️"),
];
