"""How people write addresses: traditional characters, full width, labels, phones, and short names of places.

The character table holds the traditional forms of what occurs in names of divisions and townships,
after OpenCC's TSCharacters (Apache-2.0); a character that is itself part of a name is left alone.
"""

import re
import unicodedata

_TRADITIONAL = (
    "䃮䓣亞佈佔來侖侶侷俬倉個們倖倫偉側傑傘備傢傳傾僑僕儀儁億儉優儲兌兒兗內兩冊凈凍凱別則剋剎剛剝創劃劉劍勁動務勝勞"
    "勢勵勸勻匯區協卻卽厙厤厲參叢吳呂員唸問啓啞啟喚喬單嗎噲噹嚀嚥嚮嚴囌圇國圍園圓圖團垻埡埨埰堅堖堯報場塊塗塢塵塹墊"
    "墰墳墶墻墾壇壋壘壚壜壟壠壢壩壯壺壽夢夥夾奧奪奮婁媧媽嫗孃孫學宮寀實寧審寬寶將專尋對導層屬岡峯峴島峽崍崑崗崙嵐嵗"
    "嶁嶗嶠嶧嶨嶮嶺嶼嶽巋巒巖帥師帳帶幃幫幹幾庫廂廈廕廟廠廣廬廳弔張強彆彈彌彎彔彙彥彫彿後徑從徠復徵恆悅惱愛慄態慣慶"
    "慼憑憲應懞懷戰戲戶拋捨捲掛採揚換揮搖搶摺撈撥撫擁擔擴擺攔攜攝敎敘斷旂昇時晉暉暘暢曆曇曉曏曬書會朮東枴柵柺査桿梘"
    "條棊棖棗棟棧棲椏楊楓業極榦榮構槓樂樅樑樓標樞樣樸樹樺橋機橫檜檢檯櫟櫻欄權欏欒欖欽歐歡歲歷歸殻殼氂氣沖況浿涇涼淥"
    "淨淩淪淵淶淺渙渦測渾湋湞湧湯溈準溝溫溮溳溼滄滎滙滬滸滾滿漁漚漢漣漲漵漿潁潑潙潛潤潯潿澇澗澠澤澫澮澱濃濕濟濤濫濰"
    "濱濼瀂瀆瀋瀏瀘瀝瀟瀠瀧瀨瀰瀲瀾灃灄灑灕灘灣灤為烏無煉煙煥煩煬熱燈燒營爐爛爲爺爾牆犛犢狀猶獃獅獨獲獵獺獻現琱琿瑣"
    "瑤瑪璉璣璦環瓊瓏甌甕產産甦甯畝畢畫異畵當疇疊發皁盃盞監盤盧盪眞眾矇硃硤硯碩碭確碼磚磧磯磽礄礆礎礐礦礬礱祿禎禦禪"
    "禮禿稅稜種稱穀積穩穫窩窪窯竇竈竪競筆筍筧箇節範築篔篤簀簍簡簹簾籬籮粵糧糰紀約紅納純紗紙級紡紮細紹終絃結絡絨統絲"
    "絳綉綏經綠綢綫維網綵綸綺綽綿緊緑緒線緞緣緯緱練緻縉縣縫縱縴縹總績織繞繡繩繼續纍纏纔纖缽罈罎羅羣羨義習聖聞聯聰聲"
    "聶職肅脈脣脩脫腦腳腸膚膠膩臘臚臥臨臺與興舉舊舘艤艷茲荊莊華菴菸萇萊萬葉葦葯蒐蒓蒼蓆蓋蓮蓴蔔蔘蔞蔣蔥蔭蕎蕓蕩蕪蕭"
    "薊薌薑薩薹藍藝藥藪藴藺蘄蘆蘇蘊蘋蘭蘿處號虯蜆蝦螞蟬蟻蠶蠻衆術衕衚衛衝裏補裝裡製複褳襬覈覓視親覺覽觀計託記訥訪設"
    "許訶註詔試詩誇誌誠課誼調談論諧諫諶諸諾謀謙講謝謨譙譚譜議護譽讓讚豎豐豔豬貓貝貞財貢貨貫貴買費貿賀賁資賈賒賓賚賜"
    "賡賢賣賦質賴賽贈贊贛趕趙跡蹟蹤躍車軍軒軫軸軹軻載輓輔輕輝輞輦輪輯輻輿轄轅轉轎轟農迴逕連週進遊運過達遙遜遞遠適遲"
    "遷選遼邁還邊邏郟郵鄆鄉鄒鄔鄖鄧鄭鄰鄲鄴酇酈醣醫釀釋釗針釣釦釵鈎鈐鈞鈡鈴鈸鈺鉅鉗鉛鉢鉤銀銅銘鋅鋒鋪鋼錄錢錦錫錯録"
    "錶鍊鍋鍔鍬鍼鍾鎂鎌鎖鎣鎭鎮鏇鏞鏡鏵鐔鐘鐮鐵鐸鐺鑑鑒鑲鑼長門閃閆開閑閒間閔閘閣閤閩閬閭閶閻闆闇闊闕闖關闞闢陘陝陞"
    "陰陳陸陽隊際隨隱隴隻雋雙雜雞離雲電霑霧霽靈靜鞏鞦韆韋韓韜韻響頁頂頃項順須頌預頓頗頡頭頸顆額顏顓顔顙類顧顯風颱飛"
    "飯飲養餘館餵饅饒馬馮馱馳馴駐駒駕駝駟駱駿騎騰騾驅驊驕驛驥驪體髮鬆鬍鬚鬥鬧鬱魚魯鮀鮁鮎鮑鮓鮜鮦鮮鯉鯨鰲鰺鱗鱘鳥鳧"
    "鳩鳬鳳鳴鴉鴛鴦鴨鴻鴿鵑鵝鵠鵡鵬鵰鵲鶚鶯鶴鶿鷀鷄鷗鷥鷲鷹鷺鸕鸚鸞鹹鹼鹽麗麥麪麫麯麴麵麼麽黃點黨齊齋齒齡齣龍龐龔龕"
    "龜"
)
_SIMPLIFIED = (
    "鿎𬜯亚布占来仑侣局私仓个们幸伦伟侧杰伞备家传倾侨仆仪俊亿俭优储兑儿兖内两册净冻凯别则克刹刚剥创划刘剑劲动务胜劳"
    "势励劝匀汇区协却即厍历厉参丛吴吕员念问启哑启唤乔单吗哙当咛咽向严苏囵国围园圆图团坝垭𫭢采坚垴尧报场块涂坞尘堑垫"
    "坛坟垯墙垦坛垱垒垆坛垄垅坜坝壮壶寿梦伙夹奥夺奋娄娲妈妪娘孙学宫采实宁审宽宝将专寻对导层属冈峰岘岛峡崃昆岗仑岚岁"
    "嵝崂峤峄峃崄岭屿岳岿峦岩帅师帐带帏帮干几库厢厦荫庙厂广庐厅吊张强别弹弥弯录汇彦雕佛后径从徕复征恒悦恼爱栗态惯庆"
    "戚凭宪应蒙怀战戏户抛舍卷挂采扬换挥摇抢折捞拨抚拥担扩摆拦携摄教叙断旗升时晋晖旸畅历昙晓向晒书会术东拐栅拐查杆枧"
    "条棋枨枣栋栈栖桠杨枫业极干荣构杠乐枞梁楼标枢样朴树桦桥机横桧检台栎樱栏权椤栾榄钦欧欢岁历归壳壳牦气冲况𬇙泾凉渌"
    "净凌沦渊涞浅涣涡测浑𣲗浈涌汤沩准沟温浉涢湿沧荥汇沪浒滚满渔沤汉涟涨溆浆颍泼沩潜润浔涠涝涧渑泽𬇕浍淀浓湿济涛滥潍"
    "滨泺澛渎沈浏泸沥潇潆泷濑弥潋澜沣滠洒漓滩湾滦为乌无炼烟焕烦炀热灯烧营炉烂为爷尔墙牦犊状犹呆狮独获猎獭献现雕珲琐"
    "瑶玛琏玑瑷环琼珑瓯瓮产产苏宁亩毕画异画当畴叠发皂杯盏监盘卢荡真众蒙朱硖砚硕砀确码砖碛矶硗硚硷础𬒈矿矾砻禄祯御禅"
    "礼秃税棱种称谷积稳获窝洼窑窦灶竖竞笔笋笕个节范筑筼笃箦篓简筜帘篱箩粤粮团纪约红纳纯纱纸级纺扎细绍终弦结络绒统丝"
    "绛绣绥经绿绸线维网彩纶绮绰绵紧绿绪线缎缘纬缑练致缙县缝纵纤缥总绩织绕绣绳继续累缠才纤钵坛坛罗群羡义习圣闻联聪声"
    "聂职肃脉唇修脱脑脚肠肤胶腻腊胪卧临台与兴举旧馆舣艳兹荆庄华庵烟苌莱万叶苇药搜莼苍席盖莲莼卜参蒌蒋葱荫荞芸荡芜萧"
    "蓟芗姜萨苔蓝艺药薮蕴蔺蕲芦苏蕴苹兰萝处号虬蚬虾蚂蝉蚁蚕蛮众术同胡卫冲里补装里制复裢摆核觅视亲觉览观计托记讷访设"
    "许诃注诏试诗夸志诚课谊调谈论谐谏谌诸诺谋谦讲谢谟谯谭谱议护誉让赞竖丰艳猪猫贝贞财贡货贯贵买费贸贺贲资贾赊宾赉赐"
    "赓贤卖赋质赖赛赠赞赣赶赵迹迹踪跃车军轩轸轴轵轲载挽辅轻辉辋辇轮辑辐舆辖辕转轿轰农回迳连周进游运过达遥逊递远适迟"
    "迁选辽迈还边逻郏邮郓乡邹邬郧邓郑邻郸邺酂郦糖医酿释钊针钓扣钗钩钤钧钟铃钹钰巨钳铅钵钩银铜铭锌锋铺钢录钱锦锡错录"
    "表炼锅锷锹针钟镁镰锁蓥镇镇旋镛镜铧镡钟镰铁铎铛鉴鉴镶锣长门闪闫开闲闲间闵闸阁合闽阆闾阊阎板暗阔阙闯关阚辟陉陕升"
    "阴陈陆阳队际随隐陇只隽双杂鸡离云电沾雾霁灵静巩秋千韦韩韬韵响页顶顷项顺须颂预顿颇颉头颈颗额颜颛颜颡类顾显风台飞"
    "饭饮养余馆喂馒饶马冯驮驰驯驻驹驾驼驷骆骏骑腾骡驱骅骄驿骥骊体发松胡须斗闹郁鱼鲁𬶍鲅鲇鲍鲊鲘鲖鲜鲤鲸鳌鲹鳞鲟鸟凫"
    "鸠凫凤鸣鸦鸳鸯鸭鸿鸽鹃鹅鹄鹉鹏雕鹊鹗莺鹤鹚鹚鸡鸥鸶鹫鹰鹭鸬鹦鸾咸碱盐丽麦面面曲曲面么么黄点党齐斋齿龄出龙庞龚龛"
    "龟"
)

_TO_SIMPLIFIED = str.maketrans(_TRADITIONAL, _SIMPLIFIED)
_RARE = frozenset(_TRADITIONAL)
_HAN = "\u3400-\u9fff"
_SPACE = re.compile(rf"(?<=[{_HAN}])\s+(?=[{_HAN}])")
_PHONE = re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?[\d*]{4}){2}(?!\d)|(?<!\d)0\d{2,3}[- ]?\d{7,8}(?!\d)")
_WORDS = "收货|收件|寄件|送货|详细|联系|所在|配送|邮寄|家庭|公司"
_LABEL = re.compile(rf"(?:{_WORDS})?(?:地址|地区|区域|电话|手机号码|手机号|手机|人姓名|人|姓名|省市区|街道)\s*:")
_CORPS = re.compile(r"新疆生产建设兵团|(?:新疆)?兵团(?=第?[一二三四五六七八九十]{1,2}师|[\u3400-\u9fff]{2,5}市)")
_BRIGADE = re.compile(r"(?<=新疆)第?[一二三四五六七八九十]{1,2}师")
_FILLER = re.compile(r"(?:自治区|省)?直辖县级行政(?:区划|单位)|(?<=[市京津沪渝海庆])市辖区(?![域内])|(?<=重庆市)县(?=.{1,12}县)")
SEPARATORS = " \t\r\n,.;:|/\\_-~·•、。，；：()（）[]【】<>《》{}\"'“”‘’*#@!?&+=…—"

# After a short name these tell of something that is only named after the place: 南京东路, 上海大厦.
_NAMESAKE = re.compile(
    "[东南西北中]?[一二三四五六七八九十]?(?:大?[路街道]|[市县区州省旗盟巷弄里镇乡村屯桥站港塔祠宫寺庙湾]|胡同)"
    "|公园|广场|大厦|商场|医院|大学|学院|中学|小学|一中|饭店|酒店|宾馆|小区|花园|银行|市场|机场|车站|火车站|汽车站"
    "|国际|中心|新村|新城|古城|老街|嘉园|家园|公寓|人家|会馆|工业|大桥|立交"
)
_ZONE_WORDS = re.compile(
    "高新|经济|经开|开发|产业|保税|科技|示范|综合|临港|临空|空港|循环|新区|园区|工业|管理|现代|农业|生态|旅游|度假"
)
_ZONE = re.compile(
    r"[(（]?[\u3400-\u9fff]{0,6}(?:高新|开发|经济|产业|示范|度假|工业|科技|旅游)[\u3400-\u9fff]{0,10}?(?:区|园)[)）]?"
)

_NATIONS = (
    "维吾尔|哈萨克|柯尔克孜|塔吉克|蒙古|锡伯|各|达斡尔|鄂温克|土家|朝鲜|哈尼|傈僳|景颇|布依|仡佬|拉祜|布朗|纳西|普米|独龙"
    "|东乡|保安|撒拉|裕固|仫佬|毛南|[回壮苗侗彝瑶藏傣白土满黎畲羌怒水佤]"
)
_AUTONOMOUS = re.compile(rf"(.{{2,}}?)(?:(?:{_NATIONS})族?)*族?自治([州县旗])")
_PROVINCE_TAILS = ("维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "特别行政区", "省", "市")
_TAILS = ("地区", "特区", "新区", "林区", "盟", "区", "县", "市", "旗")
_TOWN_TAIL = re.compile(rf"(.{{2,}}?)(?:街道|镇|(?:(?:{_NATIONS})族)*(?:民族)?乡|苏木)")
_NO_TOWN_BY_ITSELF = re.compile(".*[路街道巷里村]$")
_PROVINCE, _COUNTY = 1, 3


def readable(text: str) -> str:
    """One line as the parser reads it: usual width, simplified, without labels, phones and idle spaces."""
    text = unicodedata.normalize("NFKC", text)
    if not _RARE.isdisjoint(text):
        text = text.translate(_TO_SIMPLIFIED)
    if ":" in text:
        text = _LABEL.sub(",", text)
    text = _PHONE.sub(",", text)
    if "兵团" in text or "师" in text:
        text = _BRIGADE.sub("", _CORPS.sub("新疆", text))
    if "辖" in text or "重庆市县" in text:
        text = _FILLER.sub("", text)
    return _SPACE.sub("", text).strip(SEPARATORS)


def names_something_else(text: str, end: int) -> bool:
    """Whether a short name that ends here belongs to a road, a building and the like."""
    return _NAMESAKE.match(text, end) is not None


def begins_zone(text: str, at: int) -> bool:
    """Whether a development zone goes on here: 淮安经济技术开发区 does not lie in 淮安区."""
    return _ZONE_WORDS.match(text, at) is not None


def is_zone(text: str) -> bool:
    """Whether it is the name of a development zone, which is no division of its own."""
    return _ZONE.fullmatch(text) is not None


def short_names(name: str, level: int) -> set[str]:
    """What people call a division: 吴中 for 吴中区, 恩施 and 恩施州 for 恩施土家族苗族自治州."""
    if level == _PROVINCE:
        bare = next((name.removesuffix(tail) for tail in _PROVINCE_TAILS if name.endswith(tail)), name)
        autonomous = {f"{bare}自治区", f"{bare}省"} if name.endswith("自治区") else set()
        return {bare, *autonomous, *({"内蒙"} if bare == "内蒙古" else ())} - {name}
    if found := _AUTONOMOUS.fullmatch(name):
        return {found[1], found[1] + found[2]}
    tail = next((tail for tail in _TAILS if name.endswith(tail) and len(name) - len(tail) >= 2), "")
    bare = name.removesuffix(tail)
    if not tail or name.endswith("矿区"):
        return set()
    return {bare, f"{bare}区"} if tail == "新区" else {bare}


def short_name_of_town(name: str) -> str:
    """长桥 for 长桥街道; '' where the rest would read like a road or a village."""
    found = _TOWN_TAIL.fullmatch(name)
    return found[1] if found and not _NO_TOWN_BY_ITSELF.match(found[1]) else ""
